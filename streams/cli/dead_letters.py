"""``journey dead-letters``: look at records that were put aside, send them again, or drop them.

Owns the options and the messages; finding and sending are in ``streams.tools.dead_letters``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.tools.dead_letters import Fate, Letter, Selection

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Records that were put aside as dead letters.")

Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only of this reason; may be repeated.")]
Customer = Annotated[str | None, typer.Option(help="Only with this record key.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Only from this partition of the touchpoints.")]
Since = Annotated[str | None, typer.Option(help="Only put aside at or after this time (ISO 8601).")]
Until = Annotated[str | None, typer.Option(help="Only put aside before this time (ISO 8601).")]
Places = Annotated[list[str] | None, typer.Option("--at", help="Only this one, as `list` names it; may be repeated.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many.")]
Every = Annotated[bool, typer.Option("--every", help="Without any filter: all of them are meant.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command("list")
def list_(
    reason: Reasons = None,
    customer: Customer = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    at: Places = None,
    limit: Limit = None,
    settled: Annotated[bool, typer.Option("--settled", help="Also those sent again or dropped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """One line each: its place, when it was put aside, reason, key, where it came from, and what has become of it."""
    from itertools import islice

    from streams.tools.dead_letters import letters

    selection = _selection(reason, customer, partition, since, until, at)
    connection = connected(bootstrap, prefix, application)
    fates: tuple[Fate | None, ...] = (None, "redriven", "dropped") if settled else (None,)
    with _told():
        schemas = connection.schemas("read")
        found = letters(connection.settings, connection.topics, schemas, selection, fates)
        for letter in islice(found, limit):
            typer.echo(json.dumps(_object(letter)) if as_json else _line(letter))


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="Place of the letter, partition:offset, as `list` names it.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """All of one letter as JSON: headers, and key and value as text where they are, else as base64."""
    from streams.tools.dead_letters import letters

    selection = _selection(None, None, None, None, None, [place])
    connection = connected(bootstrap, prefix, application)
    with _told():
        schemas = connection.schemas("read")
        found = letters(
            connection.settings, connection.topics, schemas, selection, (None, "redriven", "dropped")
        )  # fmt: skip
        for letter in found:
            content = letter.content
            headers = [[header.key, _bytes(header.value)] for header in content.headers]
            whole = {"detail": content.detail, "headers": headers, "value": _bytes(content.value)}
            typer.echo(json.dumps(_object(letter) | whole, indent=2))
            return
    fail(f"There is no dead letter at {place} of {connection.topics.dead_letters}.")


@app.command()
def redrive(
    reason: Reasons = None,
    customer: Customer = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    at: Places = None,
    every: Every = False,
    limit: Limit = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Most letters a second.")] = 500.0,
    dry_run: DryRun = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Send again, unchanged, to the touchpoints: once, however often this is run. What fails again is a new letter."""
    selection = _selection(reason, customer, partition, since, until, at, every=every)
    _settle("redriven", selection, limit, rate, dry_run, bootstrap, prefix, application)


@app.command()
def drop(
    reason: Reasons = None,
    customer: Customer = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    at: Places = None,
    every: Every = False,
    limit: Limit = None,
    dry_run: DryRun = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Put away for good: never listed or sent again. The record itself goes with its topic's retention."""
    selection = _selection(reason, customer, partition, since, until, at, every=every)
    _settle("dropped", selection, limit, None, dry_run, bootstrap, prefix, application)


def _settle(
    fate: Fate,
    selection: Selection,
    limit: int | None,
    rate: float | None,
    dry_run: bool,
    bootstrap: str | None,
    prefix: str | None,
    application: str | None,
) -> None:
    from itertools import islice

    from streams.tools.dead_letters import letters, settle

    connection = connected(bootstrap, prefix, application)
    settings, topics = connection.settings, connection.topics
    reasons: Counter[str] = Counter()

    def count(letter: Letter) -> None:
        reasons[letter.content.reason] += 1

    with _told():
        schemas = connection.schemas("read")
        if dry_run:
            for letter in islice(letters(settings, topics, schemas, selection), limit):
                count(letter)
                typer.echo(_line(letter))
            typer.echo(f"{reasons.total():,} would be {fate}{_of(reasons)}. Nothing was done.")
            return
        tally = settle(settings, topics, schemas, selection, fate, most=limit, rate=rate, told=count)
    typer.echo(f"{tally.settled:,} {fate}{_of(reasons)}.")
    if tally.gone:
        some = ", ".join(map(str, tally.gone[:10])) + (" …" if len(tally.gone) > 10 else "")
        fail(
            f"{len(tally.gone):,} hold only a part of a record that is not in the touchpoints any more; they were left "
            f"as they are: {some}. `journey dead-letters drop --at …` puts them away."
        )


@contextmanager
def _told() -> Iterator[None]:
    """What can go wrong, in words."""
    from confluent_kafka import KafkaException

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.tools.dead_letters import DeadLettersError
    from streams.tools.tail import TailError
    from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

    try:
        yield
    except Fenced:
        fail("Another `journey dead-letters` has begun since. What this one settled counts; run it again.")
    except OutcomeUnknown as error:
        fail(f"The brokers did not say whether the last ones were settled ({error}). Run it again: none is sent twice.")
    except (DeadLettersError, TailError, RegistryError, RegistryUnavailable, KafkaException, Refused) as error:
        fail(str(error))


def _selection(
    reasons: list[str] | None,
    customer: str | None,
    partition: int | None,
    since: str | None,
    until: str | None,
    at: list[str] | None,
    *,
    every: bool | None = None,
) -> Selection:
    from streams.contracts.touchpoint import REASONS
    from streams.tools.dead_letters import Place, Selection

    for reason in reasons or ():
        if reason not in REASONS:
            raise typer.BadParameter(f"--reason {reason!r}: expected one of {', '.join(sorted(REASONS))}")
    try:
        places = frozenset(Place.of(place) for place in at or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = Selection(
        frozenset(reasons or ()), customer, partition, _moment("--since", since), _moment("--until", until), places
    )
    if every is not None and found.everything != every:
        raise typer.BadParameter(
            "--every and a filter exclude each other" if every else "say which: a filter, or --every for all of them"
        )
    return found


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}: expected a time like 2026-01-01T08:00:00+00:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _line(letter: Letter) -> str:
    content = letter.content
    key = "-" if content.key is None else _plain(content.key.decode("utf-8", "backslashreplace"))
    place = f"{content.topic}:{content.partition}:{content.offset}"
    again = "" if letter.origin == place else f"  first {_plain(letter.origin)}"
    fate = f"  {letter.fate}" if letter.fate else ""
    return f"{letter.place!s:>10}  {_time(letter.timestamp)}  {content.reason}  {key}  {place}{again}{fate}"


def _object(letter: Letter) -> dict[str, Any]:
    content = letter.content
    return {
        "at": str(letter.place),
        "put_aside_at": _time(letter.timestamp),
        "reason": content.reason,
        "key": _bytes(content.key),
        "source": f"{content.topic}:{content.partition}:{content.offset}",
        "origin": letter.origin,
        "recorded_at": None if content.recorded_at is None else _time(content.recorded_at),
        "value_bytes": content.value_bytes,
        "fate": letter.fate,
    }


def _bytes(held: bytes | None) -> Any:
    """Text where it is text, else base64 with its name."""
    if held is None:
        return None
    try:
        text = held.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(held).decode()}
    return text if text.isprintable() else {"base64": base64.b64encode(held).decode()}


def _plain(text: str) -> str:
    """Whoever produced it may have meant it for a terminal: what is no text there is shown by its number."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of(reasons: Counter[str]) -> str:
    return f" ({', '.join(f'{number:,} {reason}' for reason, number in reasons.most_common())})" if reasons else ""
