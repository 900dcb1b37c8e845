"""Every command of the README, run as a reader would run it: the demo with its first minute, then a deployment.

Owns the list of how each command is run: a command that the README has and this list has not, fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from streams.contracts.topics import Topics
from streams.tools import home
from streams.tools.embedded.process import free_port
from streams.tools.topics import delete_topics

pytestmark = pytest.mark.integration

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 60

DRY = ("make demo", "make test")
"""Too large for a test of the README; what they call is run here and by the whole of the tests."""
SETTING = ('export PATH="$PWD/.venv/bin:$PATH"', 'export JOURNEY_LEARNER_KEY_FILE="$PWD/learner.key"')
DEMO = (
    "journey emit 'Payment Failed' 'Payment Failed' --customer me",
    "journey tail triggers --customer me --from-beginning --count 1",
    "journey emit 'Order Completed' --customer me",
    "journey tail triggers --customer me --from-beginning --count 2",
    "journey tail customers --customer me --from-beginning --count 2",
    "journey explain me",
    "python examples/producer.py --help",
    "journey emit 'Product Viewed' --customer ada --channel web --property product_id=p-1 --property price=19.9",
    "journey tail touchpoints --customer ada --from-beginning --count 1",
    "python examples/consumer.py --help",
    "journey tail signals --from-beginning --count 3",
)
FILES = (
    "journey features",
    "journey validate examples/campaign.journey.yaml",
    "journey definitions variables",
    "journey simulate --touchpoints 20000 --output touchpoints.jsonl.gz",
    "journey replay --definition shop --input touchpoints.jsonl.gz --output findings.jsonl",
    "journey report --definition shop --findings findings.jsonl --touchpoints touchpoints.jsonl.gz --period 7d "
    "--html report.html",
)
DEPLOYMENT = (
    "journey topics create --partitions 4",
    "journey topics check",
    "journey definitions apply examples/campaign.journey.yaml",
    "(umask 077; openssl rand -hex 32 > learner.key)",
)
LEARNER = "journey learn"
WORKERS = "journey run --processes 2"
AFTER = "journey replay --from-kafka --compare"


def readme_commands() -> list[str]:
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout as far as the commands see one: what they write does not land in the real one."""
    for name in ("examples", "streams", "avro"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")}
    kept = {name: os.environ[name] for name in ("JOURNEY_CACHE", "JOURNEY_JAVA") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**bare, **kept, "PATH": path, "COLUMNS": "200"}


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """As typed into a shell."""
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def wait_for(ready: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < until, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.1)


def test_every_command_is_run_here() -> None:
    assert sorted(readme_commands()) == sorted([*DRY, *SETTING, *DEMO, *FILES, *DEPLOYMENT, LEARNER, WORKERS, AFTER])


@pytest.mark.parametrize("command", DRY)
def test_make_knows_it(command: str) -> None:
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"make demo": "journey demo", "make test": "pytest"}[command] in done.stdout


@pytest.fixture
def demo(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The demo without a terminal: it ends by itself, and its exit status says whether what it saw is right."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streams", "demo", "--touchpoints", "1000", "--customers", "30000"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.timeout(240)
def test_the_demo_and_its_first_minute(demo: subprocess.Popen[str], folder: Path, environment: dict[str, str]) -> None:
    wait_for(lambda: home.read(folder / ".journey") is not None or demo.poll() is not None, "the demo")
    outputs = {}
    for command in DEMO:
        outputs[command] = run(command, folder, environment)
    first, ended, customer = outputs[DEMO[1]], outputs[DEMO[3]], outputs[DEMO[4]]
    assert "issued" in first
    assert "payment_help" in first
    assert "payment_failed_twice" in first
    assert "cancelled" in ended
    assert "goal_reached" in ended
    before, after = customer.splitlines()
    assert "payment_help" in before
    assert "payment_help" not in after
    assert "me" in after
    for told in ("payment_help by in_app was issued", "payment_failed_twice", "cancelled: the goal was reached"):
        assert told in outputs["journey explain me"]
    assert "Product Viewed" in outputs[DEMO[8]]
    said, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, said
    assert "right:" in said
    assert home.read(folder / ".journey") is None


def test_the_commands_for_files(folder: Path, environment: dict[str, str]) -> None:
    for command in FILES:
        run(command, folder, environment)
    assert (folder / "findings.jsonl").stat().st_size > 100_000


@pytest.mark.timeout(240)
def test_the_commands_of_a_deployment(kafka: Any, folder: Path, environment: dict[str, str]) -> None:
    prefix = f"r{uuid.uuid4().hex[:10]}"
    port, learner_port = free_port(), free_port()
    environment |= {
        "JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "JOURNEY_PREFIX": prefix,
        "JOURNEY_APP": prefix,
        "JOURNEY_HTTP_PORT": str(port),
        "JOURNEY_LEARNER_PORT": str(learner_port),
        "JOURNEY_LEARNER_KEY_FILE": str(folder / "learner.key"),
    }
    # The key is needed by nothing but the processes, which find it in the environment.
    for command in DEPLOYMENT:
        run(command, folder, {name: value for name, value in environment.items() if "KEY" not in name})
    processes = [
        subprocess.Popen(
            f"exec {command}",
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in (WORKERS, LEARNER)
    ]
    try:
        wait_for(lambda: _ready(port), "both workers")
        wait_for(lambda: _ready(learner_port), "the learner")
        run("journey emit 'Product Added' 'Checkout Started' 'Order Completed' --customer ada", folder, environment)
        run("journey tail signals --customer ada --from-beginning --count 3", folder, environment)
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0]
    run(AFTER, folder, environment)
    delete_topics({"bootstrap.servers": kafka.bootstrap}, Topics(app=prefix, prefix=prefix))


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
