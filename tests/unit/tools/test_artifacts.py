"""Downloads are pinned: from a real HTTP server, whole or not at all, with words for each way it can fail."""

from __future__ import annotations

import gc
import hashlib
import io
import tarfile
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from streams.tools.embedded import artifacts, lock
from streams.tools.embedded.artifacts import fetch, java, unpack
from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.lock import read_lock

CONTENT = b"the bytes of a jar" * 100


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Requests are not part of a test's output."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository with one jar and one archive, pinned in locks of the test's own."""
    root = tmp_path / "mirror"
    jar = root / "org/shop/thing/1.0/thing-1.0.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(CONTENT)
    archive = root / "org/shop/thing/1.0/thing-1.0-all.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("bin/run.txt")
        entry.size = len(CONTENT)
        tar.addfile(entry, io.BytesIO(CONTENT))
    locks = tmp_path / "locks"
    locks.mkdir()
    for name, coordinates, path in (
        ("thing", "org.shop:thing:1.0", jar),
        ("archive", "org.shop:thing:1.0:all:tar.gz", archive),
    ):
        data = path.read_bytes()
        line = f"# a comment\n\n{coordinates} {len(data)} {hashlib.sha256(data).hexdigest()}\n"
        (locks / f"{name}.lock").write_text(line, encoding="utf-8")
    monkeypatch.setattr(lock, "HERE", locks)
    monkeypatch.setattr(artifacts, "ATTEMPTS", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("JOURNEY_MAVEN", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
        monkeypatch.setenv("JOURNEY_CACHE", str(tmp_path / "cache"))
        yield root
        server.shutdown()
        thread.join()


def test_a_missing_file_is_downloaded_with_progress_and_then_kept(mirror: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    (path,) = fetch("thing", lambda *step: seen.append(step))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("thing", len(CONTENT), len(CONTENT))
    (mirror / "org/shop/thing/1.0/thing-1.0.jar").unlink()
    again: list[tuple[str, int, int]] = []
    assert fetch("thing", lambda *step: again.append(step)) == [path]
    assert again == []


def test_what_an_interrupted_download_left_is_fetched_again(mirror: Path) -> None:
    (path,) = fetch("thing")
    path.write_bytes(CONTENT[:100])
    assert fetch("thing") == [path]
    assert path.read_bytes() == CONTENT


def test_altered_contents_are_refused_and_not_kept(mirror: Path, tmp_path: Path) -> None:
    (mirror / "org/shop/thing/1.0/thing-1.0.jar").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(EmbeddedError, match=r"org\.shop:thing:1\.0 was downloaded, but") as caught:
        fetch("thing")
    assert caught.value.fault == "bad_download"
    assert [path for path in (tmp_path / "m2").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("gone", ["file", "server"])
def test_without_the_file_or_the_server_the_command_to_run_is_named(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    if gone == "file":
        (mirror / "org/shop/thing/1.0/thing-1.0.jar").unlink()
    else:
        monkeypatch.setenv("JOURNEY_MAVEN", "http://127.0.0.1:1")
    with warnings.catch_warnings():
        # The resolver leaves the connection of a "not found" to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(EmbeddedError, match="journey kafka fetch") as caught:
            fetch("thing")
        fault = caught.value.fault
        del caught
        gc.collect()
    assert fault == "no_network"


def test_an_archive_is_unpacked_once(mirror: Path, tmp_path: Path) -> None:
    folder = unpack("archive")
    assert (folder / "bin/run.txt").read_bytes() == CONTENT
    (mirror / "org/shop/thing/1.0/thing-1.0-all.tar.gz").unlink()
    assert unpack("archive") == folder
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["fetch.lock", "thing-1.0"]


def test_a_cache_folder_that_cannot_be_made_is_named(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = mirror / "a file"
    file.touch()
    monkeypatch.setenv("JOURNEY_CACHE", str(file / "cache"))
    with pytest.raises(EmbeddedError, match="JOURNEY_CACHE") as caught:
        fetch("thing")
    assert caught.value.fault == "no_permission"


def test_the_java_of_the_wheel_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNEY_JAVA", raising=False)
    assert java().name == "java"
    monkeypatch.setenv("JOURNEY_JAVA", str(tmp_path))
    with pytest.raises(EmbeddedError, match="cannot be run") as caught:
        java()
    assert caught.value.fault == "no_java"
    own = tmp_path / "bin" / "java"
    own.parent.mkdir()
    own.touch(0o755)
    assert java() == own


@pytest.mark.parametrize(("name", "number"), [("kafka", 46), ("registry", 1)])
def test_the_shipped_locks_are_complete(name: str, number: int) -> None:
    pins = read_lock(name)
    assert len({pin.coordinates for pin in pins}) == number
    assert all(len(pin.sha256) == 64 and pin.size > 0 for pin in pins)
