"""A progress bar for each thing that is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from streams.tools.embedded import artifacts


@contextmanager
def downloads(console: Console | None = None) -> Iterator[artifacts.Progress]:
    """What to pass as ``progress``; the bars are on stderr unless a console is given."""
    columns = (TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console or Console(stderr=True)) as bar:

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
