"""The section ``channels``: how a channel is reached, when somebody is there, and how much it can carry.

Owns reading channels as maps and in their text form (``open Mon-Fri 09:00-17:00, at most 60 an hour``). Those known
without being defined are in ``channels.py``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from streams.definitions.draft import Draft
from streams.definitions.hours import read_hours, read_zone
from streams.definitions.model import Channel
from streams.definitions.policy import DAY_MS, Capacity, Hours
from streams.definitions.positions import Node
from streams.definitions.table import UNITS_MS, Table, duration_ms, one_or_many, read_name, read_text, spoken_ms

MOST: Final = 1_000_000_000
LEAST_PER_MS: Final = 1_000
MOST_PER_MS: Final = 31 * DAY_MS
_AT_MOST: Final = re.compile(r"at most ([0-9]{1,10})\s+(?:an?|per|every|in|each)\s+(\S+)", re.IGNORECASE)
_UNITS: Final = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
TEXT_HINT: Final = "for example open Mon-Fri 09:00-17:00, at most 60 an hour"


def read_channels(table: Table, draft: Draft) -> None:
    node = table.take("channels")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'channels'").entries():
        name = read_name(key, draft.report, "a channel")
        if name is None or not draft.claim("channel", name, key):
            continue
        known = draft.channels.get(name, Channel(name))
        if value.kind == "scalar" and isinstance(value.scalar, str):
            hours, capacity = _from_text(value, draft)
            draft.channels[name] = replace(known, open=hours or known.open, capacity=capacity or known.capacity)
        else:
            draft.channels[name] = _channel(name, known, value, draft)


def settle_zones(draft: Draft) -> None:
    """After all files: opening hours without a zone of their own are in the company's."""
    for name, channel in draft.channels.items():
        if channel.open and name not in draft.zoned:
            draft.channels[name] = replace(channel, timezone=draft.time.timezone)


def _channel(name: str, known: Channel, node: Node, draft: Draft) -> Channel:
    table = Table(node, draft.report, f"channel {name!r}")
    identifier = table.text("identifier")
    in_session = table.boolean("in_session", known.in_session)
    opt_in = table.boolean("opt_in", known.opt_in)
    hours = _open(table.take("open"), draft)
    zone_node = table.take("timezone")
    zone = None if zone_node is None else read_zone(zone_node, draft)
    capacity = _capacity(table, draft)
    table.finish()
    if zone_node is not None and "open" not in table:
        draft.report.fault(table.key_place("timezone"), "'timezone' is of the opening hours, and there are none",
                           "add `open`, or remove it")  # fmt: skip
    if zone is not None:
        draft.zoned.add(name)
    return Channel(
        name=name,
        identifier=known.identifier if identifier is None else identifier,
        in_session=in_session,
        opt_in=opt_in,
        open=hours,
        timezone=zone or known.timezone,
        capacity=capacity,
    )


def _open(node: Node | None, draft: Draft) -> tuple[Hours, ...]:
    if node is None:
        return ()
    parts: list[tuple[str, Node]] = []
    for item in one_or_many(node, draft.report, "'open'"):
        text = read_text(item, draft.report, "'open'")
        parts.extend((part.strip(), item) for part in ([] if text is None else text.split(",")))
    return read_hours(parts, draft)


def _capacity(table: Table, draft: Draft) -> Capacity | None:
    at_most = table.integer("at_most", 1, MOST)
    per = table.duration("per")
    for given, missing in (("at_most", "per"), ("per", "at_most")):
        if given in table and missing not in table:
            hint = "for example at_most: 60, per: 1h"
            draft.report.fault(table.key_place(given), f"{given!r} needs {missing!r} beside it", hint)
    if at_most is None or per is None:
        return None
    return _checked(at_most, per, table.key_place("per"), draft)


def _checked(at_most: int, per_ms: int, place: Node, draft: Draft) -> Capacity | None:
    if not LEAST_PER_MS <= per_ms <= MOST_PER_MS:
        bounds = f"{spoken_ms(LEAST_PER_MS)} to {spoken_ms(MOST_PER_MS)}"
        draft.report.fault(place, f"a capacity per {spoken_ms(per_ms)}: wanted is {bounds}")
        return None
    return Capacity(at_most, per_ms)


def _from_text(node: Node, draft: Draft) -> tuple[tuple[Hours, ...], Capacity | None]:
    text = read_text(node, draft.report, "a channel")
    hours: list[tuple[str, Node]] = []
    capacity: Capacity | None = None
    capacities = 0
    opened = False
    for part in [] if text is None else [part.strip() for part in text.split(",")]:
        if part.casefold().startswith("at most"):
            capacities += 1
            capacity = _at_most(part, node, draft)
        elif part.casefold().startswith("open ") and not opened:
            opened = True
            hours.append((part[5:].strip(), node))
        elif opened and not capacities:
            hours.append((part, node))
        else:
            draft.report.fault(
                node, f"{part!r} says neither when the channel is open nor how much it carries", TEXT_HINT
            )
            return (), None
    if capacities > 1:
        draft.report.fault(node, "'at most' is given twice")
    return read_hours(hours, draft), capacity


def _at_most(text: str, place: Node, draft: Draft) -> Capacity | None:
    found = _AT_MOST.fullmatch(text)
    word = found[2].casefold() if found else ""
    per = UNITS_MS[_UNITS[word]] if word in _UNITS else duration_ms(word)
    if found is None or per is None:
        draft.report.fault(place, f"{text!r} is no capacity", "for example at most 60 an hour, at most 5 per 10m")
        return None
    if not 1 <= int(found[1]) <= MOST:
        draft.report.fault(
            place, f"{text!r}: wanted is 1 to {MOST:g}", "to close a channel, take it out of the actions"
        )
        return None
    return _checked(int(found[1]), per, place, draft)
