"""The section ``contact_policy``: what a company promises its customers about contact.

Owns reading quiet hours, limits, the global holdout, pauses and suppression, and the checks of one against another.
Several files may each set a part; where two set the same part, they must agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from streams.contracts.touchpoint import OUTCOMES
from streams.definitions.draft import Draft
from streams.definitions.experiments import known_channels, read_holdout, read_purposes
from streams.definitions.faults import near_or_list
from streams.definitions.hours import WEEK_MINUTES, minutes_of_week, read_clock, read_days
from streams.definitions.matching import read_when
from streams.definitions.policy import (
    DAY_MS,
    LONGEST_MS,
    PURPOSES,
    Hours,
    Limit,
    PauseMarketing,
    Purpose,
    QuietHours,
    Suppression,
)
from streams.definitions.positions import Node
from streams.definitions.table import Table, duration_ms, one_or_many, read_duration, read_text, spoken_ms

MAX_QUIET: Final = 50
MAX_LIMITS: Final = 50
MAX_AT_MOST: Final = 60
"""So many of a customer's contacts are kept."""
MAX_PAUSES: Final = 20
CALENDAR: Final = {"day": 1, "week": 7}
"""Word -> calendar days, today included."""
REFUSALS: Final = ("dismissed", "unsubscribed", "bounced", "not_sent")
PARTS: Final = ("quiet_hours", "limits", "holdout", "pause_marketing_while", "suppression", "unsent_for")


def read_contact_policy(table: Table, draft: Draft, given: dict[str, Any]) -> None:
    """``given`` carries what earlier files set."""
    node = table.take("contact_policy")
    if node is None:
        return
    section = Table(node, draft.report, "'contact_policy'")
    readers: dict[str, tuple[str, Callable[[Node, Draft], Any]]] = {
        "quiet_hours": ("quiet_hours", _quiet_hours),
        "limits": ("limits", _limits),
        "holdout": ("holdout", lambda inner, of: read_holdout(inner, "holdout", None, of)),
        "pause_marketing_while": ("pauses", _pauses),
        "suppression": ("suppression", _suppression),
        "unsent_for": ("unsent_for_ms", _unsent_for),
    }
    for key, (name, read) in readers.items():
        inner = section.take(key)
        if inner is None:
            continue
        found = read(inner, draft)
        if found is None:
            continue
        if given.setdefault(name, found) != found:
            draft.report.fault(section.key_place(key), f"another file sets {key!r} to something else")
        draft.contact_policy = replace(draft.contact_policy, **{name: found})
    section.finish()


def _unsent_for(node: Node, draft: Draft) -> int | None:
    found = read_duration(node, draft.report, "'unsent_for'", 0)
    if found is not None and found > LONGEST_MS:
        draft.report.fault(node, f"'unsent_for' is at most {spoken_ms(LONGEST_MS)}", "nothing is valid for longer")
        return None
    return found


def _quiet_hours(node: Node, draft: Draft) -> tuple[QuietHours, ...]:
    out: dict[QuietHours, None] = {}
    covered: dict[tuple[str, Purpose], set[int]] = {}
    for item in one_or_many(node, draft.report, "'quiet_hours'")[:MAX_QUIET]:
        quiet = _quiet(item, draft)
        if quiet is None:
            continue
        if quiet in out:
            draft.report.fault(item, "these quiet hours are given twice")
        out[quiet] = None
        for channel in quiet.channels or ("",):
            for purpose in quiet.purposes:
                minutes = covered.setdefault((channel, purpose), set())
                full = len(minutes) == WEEK_MINUTES
                minutes.update(minutes_of_week(quiet.hours))
                if len(minutes) == WEEK_MINUTES and not full:
                    where = repr(channel) if channel else "every channel"
                    message = f"the quiet hours leave no time of the week for {purpose} on {where}"
                    draft.report.fault(item, message, "shorten them, or take the channel out of the actions")
    if len(node.items) > MAX_QUIET:
        draft.report.fault(node, f"more than {MAX_QUIET} quiet hours")
    return tuple(out)


def _quiet(node: Node, draft: Draft) -> QuietHours | None:
    before = len(draft.report.faults)
    table = Table(node, draft.report, "'quiet_hours'")
    channels = known_channels(table.choices("channels", None), draft)
    place = table.need("from", 'a local time, for example "21:00"')
    start = None if place is None else read_clock(place, draft, "'from'")
    place = table.need("to", 'a local time, for example "08:00"')
    end = None if place is None else read_clock(place, draft, "'to'", end=True)
    days = read_days(table.take("days"), draft)
    then = table.choice("then", ("hold", "drop"))
    purposes = read_purposes(table) or PURPOSES
    table.finish()
    if start is not None and start == end:
        message = "'from' and 'to' are the same time: that would be the whole day"
        hint = 'for a whole day write from: "00:00", to: "24:00" with `days`'
        draft.report.fault(table.key_place("to"), message, hint)
    if start is None or end is None or len(draft.report.faults) > before:
        return None
    return QuietHours(Hours(start, end, days), channels, "drop" if then == "drop" else "hold", purposes)


def _limits(node: Node, draft: Draft) -> tuple[Limit, ...]:
    if node.kind != "list":
        draft.report.fault(node, f"'limits' is a list, not {node.spoken}", "begin each with `- `")
        return ()
    if len(node.items) > MAX_LIMITS:
        draft.report.fault(node, f"more than {MAX_LIMITS} limits")
        return ()
    out: dict[Limit, Node] = {}
    for item in node.items:
        limit = _limit(item, draft)
        if limit is None:
            continue
        same = next((other for other in out if _kind(other) == _kind(limit)), None)
        if same is not None:
            message = f"a limit of the same contacts in the same time is given twice (first in line {out[same].line})"
            draft.report.fault(item, message, "keep one of them")
            continue
        out[limit] = item
    for limit, place in out.items():
        stricter = next((other for other in out if other is not limit and _needless(limit, other)), None)
        if stricter is not None:
            message = f"this limit is never reached: the one in line {out[stricter].line} is at least as strict"
            draft.report.warn(place, message, "remove it, or lower its `at_most`")
    return tuple(out)


def _limit(node: Node, draft: Draft) -> Limit | None:
    before = len(draft.report.faults)
    table = Table(node, draft.report, "a limit")
    channel = table.text("channel")
    place = table.take("channel")
    if channel is not None and place is not None:
        known_channels([(channel, place)], draft)
    action = table.text("action")
    at_most = table.integer("at_most", 0, MAX_AT_MOST, required=True)
    days, within = _per(table.need("per", "day, week, or a duration such as 7d"), draft)
    purposes = read_purposes(table)
    table.finish()
    place = table.take("action")
    if action is not None and place is not None:
        purposes = _of_action(action, place, channel, purposes, table, draft)
    if at_most is None or len(draft.report.faults) > before:
        return None
    return Limit(at_most, days, within, channel, action, purposes or ("marketing",))


def _of_action(
    name: str, place: Node, channel: str | None, purposes: tuple[Purpose, ...], table: Table, draft: Draft
) -> tuple[Purpose, ...]:
    """Checks a limit of one action, and gives its purpose where the limit has none."""
    if name not in draft.known("action"):
        draft.report.fault(place, f"no action is called {name!r}", near_or_list(name, draft.known("action")))
        return purposes
    action = draft.actions.get(name)
    if action is None:
        return purposes
    channels = {*action.channels, *(other for step in action.steps for other in step.channels)}
    if channel is not None and channel in draft.channels and channel not in channels:
        message = f"action {name!r} never uses the channel {channel!r}"
        draft.report.fault(table.key_place("channel"), message, "its channels: " + ", ".join(sorted(channels)))
    if purposes and action.purpose not in purposes:
        message = f"this limit never applies: the purpose of action {name!r} is {action.purpose}"
        draft.report.fault(table.key_place("purpose"), message, "leave `purpose` out: it is the action's")
    return purposes or (action.purpose,)


def _per(node: Node | None, draft: Draft) -> tuple[int, int]:
    """(calendar days, rolling window in ms); one of them is 0."""
    if node is None:
        return 0, 0
    if node.kind == "scalar" and node.text in CALENDAR:
        return CALENDAR[node.text], 0
    text = read_text(node, draft.report, "'per'")
    if text is None:
        return 0, 0
    if duration_ms(text) is None and not text[:1].isdigit():
        draft.report.fault(node, f"'per' cannot be {text!r}", "day, week, or a duration such as 24h, 7d")
        return 0, 0
    ms = read_duration(node, draft.report, "'per'", lowest_ms=1_000)
    if ms is not None and ms > LONGEST_MS:
        draft.report.fault(node, f"'per' is {text}: contacts are kept for {spoken_ms(LONGEST_MS)} at most")
        return 0, 0
    draft.remember(ms, node)
    return 0, ms or 0


def _kind(limit: Limit) -> Limit:
    return replace(limit, at_most=0)


def _needless(limit: Limit, other: Limit) -> bool:
    """Whether ``other`` closes whenever ``limit`` would: as few contacts, of more kinds, in a longer time."""
    if other.at_most > limit.at_most or not set(limit.purposes) <= set(other.purposes):
        return False
    if other.channel not in (None, limit.channel) or other.action not in (None, limit.action):
        return False
    if limit.days:
        # A calendar day may have 25 hours.
        return other.days >= limit.days if other.days else other.within_ms > limit.days * DAY_MS
    return (other.days - 1) * DAY_MS >= limit.within_ms if other.days else other.within_ms >= limit.within_ms


def _pauses(node: Node, draft: Draft) -> tuple[PauseMarketing, ...]:
    out: dict[PauseMarketing, None] = {}
    items = one_or_many(node, draft.report, "'pause_marketing_while'")
    if len(items) > MAX_PAUSES:
        draft.report.fault(node, f"'pause_marketing_while' has more than {MAX_PAUSES} entries")
        items = []
    for item in items:
        pause = _pause(item, draft)
        if pause is None:
            continue
        if pause in out:
            draft.report.fault(item, "this is given twice in 'pause_marketing_while'")
        out[pause] = None
    return tuple(out)


def _pause(node: Node, draft: Draft) -> PauseMarketing | None:
    hint = "open_contact, or a signal and for how long: {signal: satisfaction, name: detractor, for: 14d}"
    if node.kind == "scalar":
        if node.text == "open_contact":
            return PauseMarketing(open_contact=True)
        draft.report.fault(node, f"'pause_marketing_while' cannot be {node.text!r}", hint)
        return None
    table = Table(node, draft.report, "'pause_marketing_while'")
    if "signal" in table:
        table.need("for", "how long after the signal, for example 14d")
        length = table.duration("for", lowest_ms=1_000)
        draft.remember(length, table.key_place("for"))
        when = read_when(table, draft)
        return None if when is None or length is None else PauseMarketing(when=when, for_ms=length)
    draft.report.fault(node, "'pause_marketing_while' needs 'signal' in a map", hint)
    return None


def _suppression(node: Node, draft: Draft) -> Suppression | None:
    before = len(draft.report.faults)
    table = Table(node, draft.report, "'suppression'")
    after = table.integer("after", 1, 100, required=True)
    within = table.duration("within", required=True, lowest_ms=1_000)
    length = table.duration("for", required=True, lowest_ms=1_000)
    refusals = []
    for outcome, place in table.choices("refusals", None):
        if outcome not in OUTCOMES:
            draft.report.fault(place, f"no outcome is called {outcome!r}", near_or_list(outcome, REFUSALS))
        elif outcome not in REFUSALS:
            draft.report.fault(place, f"{outcome!r} is no refusal", "refusals: " + ", ".join(REFUSALS))
        refusals.append(outcome)
    table.finish()
    for ms, key in ((within, "within"), (length, "for")):
        draft.remember(ms, table.key_place(key))
    if within is not None and within > LONGEST_MS:
        message = f"'within' is {spoken_ms(within)}: contacts are kept for {spoken_ms(LONGEST_MS)} at most"
        draft.report.fault(table.key_place("within"), message)
    if after is None or within is None or length is None or len(draft.report.faults) > before:
        return None
    if not refusals:
        return Suppression(after, within, length)
    return Suppression(after, within, length, tuple(refusals))
