"""The example in docs/simulator.md runs, and the page names every option."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from streams.cli.simulate import simulate

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "docs/simulator.md", "exec"), names)
    assert len(names["touchpoints"]) == 20_000  # type: ignore[arg-type]  # a list, as the page says
    assert names["facts"]
    assert 1_500 < len(names["first_minute"]) < 6_000  # type: ignore[arg-type]  # a list, as the page says


def test_every_option_is_explained() -> None:
    for name in inspect.signature(simulate).parameters:
        assert f"--{name.replace('_', '-')}" in PAGE
