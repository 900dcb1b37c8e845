"""What Kubernetes needs in another form or place than it has elsewhere: rules as a resource, definitions below base.

Owns ``components/monitoring/prometheusrule.yaml`` and ``base/definitions``: Kustomize reads nothing outside its folder.
``python deploy/kubernetes/copies.py`` writes them again; a test fails while they differ from what they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
RULES: Final = ("recording.yml", "alerts.yml")
DEFINITIONS: Final = ("shop.journey.yaml", "service.journey.yaml")
HEAD: Final = """\
# Made by deploy/kubernetes/copies.py of deploy/prometheus.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: journey
spec:
"""


def rules() -> str:
    """The groups of all rule files, under ``spec``."""
    lines: list[str] = []
    for name in RULES:
        text = (ROOT / "deploy" / "prometheus" / name).read_text(encoding="utf-8")
        _, _, groups = text.partition("groups:\n")
        lines += groups.rstrip("\n").split("\n")
    return HEAD + "".join(f"  {line}".rstrip() + "\n" for line in ["groups:", *lines])


def copies() -> Mapping[Path, str]:
    """Each file -> its content."""
    shipped = ROOT / "streams" / "definitions" / "shipped"
    return {
        HERE / "components" / "monitoring" / "prometheusrule.yaml": rules(),
        **{HERE / "base" / "definitions" / name: (shipped / name).read_text(encoding="utf-8") for name in DEFINITIONS},
    }


if __name__ == "__main__":
    for path, content in copies().items():
        path.write_text(content, encoding="utf-8")
