"""The file by which commands find a running demo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from streams.tools import home
from streams.tools.home import Demo


def test_what_was_written_is_read(tmp_path: Path) -> None:
    demo = Demo("127.0.0.1:1", "journey", "demo", "http://127.0.0.1:2/metrics", os.getpid())
    home.write(tmp_path / "new", demo)
    assert home.read(tmp_path / "new") == demo
    assert [path.name for path in (tmp_path / "new").iterdir()] == [home.NAME]


def test_none_where_nothing_runs(tmp_path: Path) -> None:
    assert home.read(tmp_path) is None
    assert home.read(tmp_path / "missing") is None


def test_a_demo_that_was_killed_is_not_found(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    home.write(tmp_path, Demo("127.0.0.1:1", "journey", "demo", pid=ended.pid))
    assert home.read(tmp_path) is None


def test_a_file_that_is_cut_or_of_another_kind_is_no_demo(tmp_path: Path) -> None:
    for content in (b"", b"{", b"[]", b'{"bootstrap": 1}'):
        (tmp_path / home.NAME).write_bytes(content)
        assert home.read(tmp_path) is None


def test_cleared_twice_is_fine(tmp_path: Path) -> None:
    home.write(tmp_path, Demo("127.0.0.1:1", "journey", "demo", pid=os.getpid()))
    home.clear(tmp_path)
    home.clear(tmp_path)
    assert home.read(tmp_path) is None
