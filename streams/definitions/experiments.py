"""How an action is tried out and kept within bounds: holdout, experiment, later steps, budget, guardrails.

Owns reading these keys of an action, and shares, which are of 10,000 buckets.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final, Literal, cast

from streams.contracts.touchpoint import OUTCOMES
from streams.definitions.content import read_content
from streams.definitions.draft import Division, Draft
from streams.definitions.faults import near_or_list
from streams.definitions.policy import PURPOSES, Arm, Budget, Experiment, Guardrails, Holdout, Purpose, SequenceStep
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_choice, read_name, read_number, spoken_ms

BUCKETS: Final = 10_000
MAX_ARMS: Final = 10
MAX_STEPS: Final = 10
HIGHEST_AMOUNT: Final = 1e12
RATES: Final = {
    "unsubscribed": "share of decisions whose message made the customer unsubscribe",
    "dismissed": "share of decisions whose message was dismissed",
    "complained": "share of decisions after which the customer was a detractor or got in touch",
    "crowded": "share of decisions after which the customer got more than `contacts` messages within attribution",
}
LEAST_WINDOW: Final = 10
MOST_WINDOW: Final = 100_000
MOST_CONTACTS: Final = 60
"""The engine keeps no more."""
NO_END: Final = frozenset({"sent", "not_sent", "bounced"})
"""Outcomes that say nothing about whether a later step is needless."""


def read_share(node: Node | None, draft: Draft, what: str) -> float | None:
    """Of 10,000 buckets: 0 to 1 with four decimals at most."""
    if node is None:
        return None
    value = node.scalar
    text = node.text.strip().removesuffix("%").strip()
    if node.kind == "scalar" and (isinstance(value, str) or (isinstance(value, int | float) and 1 < value <= 100)):
        try:
            hint = f"write {round(float(text) / 100, 6):g}" if 0 <= float(text) <= 100 else "for example 0.05"
        except ValueError:
            hint = "for example 0.05"
        draft.report.fault(node, f"{what} is a share from 0 to 1, not {node.spoken}", hint)
        return None
    share = read_number(node, draft.report, what, 0.0, 1.0)
    if share is None:
        return None
    buckets = round(share * BUCKETS)
    if abs(share * BUCKETS - buckets) > 1e-6 or (share and not buckets):
        hint = f"write {buckets / BUCKETS:g}"
        draft.report.fault(node, f"{what} is {node.text}: shares are of 10,000 buckets, four decimals at most", hint)
        return None
    return buckets / BUCKETS


def read_purposes(table: Table) -> tuple[Purpose, ...]:
    """``purpose``: one or a list; empty where it is not given."""
    chosen = {name for name, _ in table.choices("purpose", PURPOSES)}
    return tuple(purpose for purpose in PURPOSES if purpose in chosen)


def read_holdout(node: Node | None, what: str, own: Purpose | None, draft: Draft) -> Holdout | None:
    """Of an action (``own`` is its purpose), or of all of them; ``what`` names it and is its salt if it has none."""
    if node is None:
        return None
    if node.kind == "scalar" and isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool):
        draft.report.fault(node, f"'holdout' is a map, not {node.spoken}", f"write {{share: {node.text}}}")
        return None
    table = Table(node, draft.report, "'holdout'")
    place = table.need("share", "for example 0.05")
    share = read_share(place, draft, "'share'")
    if share == 1.0 and place is not None:
        draft.report.fault(place, "'share' is 1: nobody would be left", "pause the actions instead")
    purposes = read_purposes(table)
    salt = table.text("salt") or what
    table.finish()
    if own is not None and purposes and purposes != (own,):
        draft.report.fault(table.key_place("purpose"), f"the action's purpose is {own}", "leave it out here")
    elif own == "service" and not purposes:
        message = "a holdout of a service action keeps help from customers who need it"
        draft.report.fault(node, message, "add `purpose: service` to say that this is meant")
    if share is None:
        return None
    draft.divisions.append(Division(what, what, salt, (("", share),), node))
    return Holdout(share, salt, (own,) if own is not None else purposes or ("marketing",))


def read_experiment(node: Node | None, action: str, longest_ms: int | None, draft: Draft) -> Experiment | None:
    """``longest_ms`` is the action's validity, which begins anew with each step; None until the end of the session."""
    if node is None:
        return None
    table = Table(node, draft.report, "'experiment'")
    label = table.take("name")
    name = (None if label is None else read_name(label, draft.report, "'name'")) or action
    salt = table.text("salt") or f"experiment/{name}"
    inner = table.need("arms", "for example {control: 0.5, short: {share: 0.5, content: {key: short}}}")
    table.finish()
    if inner is None:
        return None
    arms: dict[str, Arm] = {}
    for key, value in Table(inner, draft.report, "'arms'").entries():
        arm_name = read_name(key, draft.report, "an arm")
        arm = _arm(arm_name or "?", value, longest_ms, draft)
        if arm_name is not None and arm is not None:
            arms[arm_name] = arm
    if inner.kind == "map" and not 2 <= len(inner.pairs) <= MAX_ARMS:
        hint = "one of them may be the action as it is: control: 0.5"
        draft.report.fault(inner, f"an experiment compares 2 to {MAX_ARMS} arms, not {len(inner.pairs)}", hint)
    total = round(sum(arm.share for arm in arms.values()), 6)
    if total > 1.0:
        draft.report.fault(inner, f"the shares of the arms add up to {total:g}", "to 1 at most; the rest has no arm")
    _check_alike(arms, inner, draft)
    shares = tuple((arm.name, arm.share) for arm in arms.values())
    draft.divisions.append(Division(f"experiment {name!r}", name, salt, shares, node))
    return Experiment(name, salt, tuple(arms.values()))


def _arm(name: str, node: Node, longest_ms: int | None, draft: Draft) -> Arm | None:
    content_key: str | None = None
    content: Any = {}
    delay: int | None = None
    if node.kind == "scalar":
        place: Node | None = node
        share = read_share(node, draft, f"the share of arm {name!r}")
    else:
        table = Table(node, draft.report, f"arm {name!r}")
        place = table.need("share", "for example 0.5")
        share = read_share(place, draft, "'share'")
        content_key, content = read_content(table.take("content"), draft)
        delay = table.duration("after", lowest_ms=0)
        table.finish()
        if delay is not None and longest_ms is not None and delay >= longest_ms:
            message = f"'after' is {spoken_ms(delay)}, when the action has expired ({spoken_ms(longest_ms)})"
            draft.report.fault(table.key_place("after"), message, "lengthen `expires_after`")
        elif delay is not None and longest_ms is None and delay >= draft.time.session_gap_ms:
            message = f"'after' is {spoken_ms(delay)}, when the session has ended and with it the action"
            draft.report.fault(table.key_place("after"), message, "give `expires_after` a time")
    if share == 0.0 and place is not None:
        draft.report.fault(place, f"arm {name!r} has no customers: its share is 0", "give it a share, or remove it")
    return None if share is None else Arm(name, share, content_key, content, delay or 0)


def _check_alike(arms: dict[str, Arm], place: Node, draft: Draft) -> None:
    for first, second in combinations(arms.values(), 2):
        if (first.content_key, first.content, first.delay_ms) == (second.content_key, second.content, second.delay_ms):
            message = f"the arms {first.name!r} and {second.name!r} do the same"
            draft.report.warn(place, message, "they differ by `content` or `after`")


def read_steps(node: Node | None, longest_ms: int | None, draft: Draft) -> tuple[SequenceStep, ...]:
    """``longest_ms`` is the action's validity, None until the end of the session."""
    if node is None:
        return ()
    if node.kind != "list":
        draft.report.fault(node, f"'steps' is a list, not {node.spoken}", "begin each with `- `")
        return ()
    if not 1 <= len(node.items) <= MAX_STEPS:
        draft.report.fault(node, f"an action has 1 to {MAX_STEPS} steps after the first, not {len(node.items)}")
    out: list[SequenceStep] = []
    passed = 0
    for item in node.items:
        table = Table(item, draft.report, "a step")
        after = table.duration("after", required=True, lowest_ms=1_000)
        channels = read_channel_names(table, draft)
        unless = _unless(table.take("unless"), draft)
        content_key, content = read_content(table.take("content"), draft)
        table.finish()
        passed += after or 0
        draft.remember(passed, table.key_place("after"))
        ends_ms = draft.time.session_cap_ms
        if after is not None and longest_ms is None and passed >= ends_ms:
            message = f"this step comes {spoken_ms(passed)} after the signal, when the session has ended"
            draft.report.fault(
                table.key_place("after"), f"{message} ({spoken_ms(ends_ms)})", "give `expires_after` a time"
            )
        elif after is not None and longest_ms is None and after >= draft.time.session_gap_ms:
            message = "the session has mostly ended by this step, and with it the action (`expires_after: session_end`)"
            draft.report.warn(table.key_place("after"), message, "give `expires_after` a time")
        if unless is None:
            out.append(SequenceStep(after or 0, channels, content_key=content_key, content=content))
        else:
            out.append(SequenceStep(after or 0, channels, unless, content_key, content))
    return tuple(out)


def read_channel_names(table: Table, draft: Draft) -> tuple[str, ...]:
    """``channel``, required: one or several that exist."""
    node = table.need("channel", "one channel or a list, the best first")
    return known_channels([] if node is None else table.choices("channel", None), draft)


def known_channels(names: list[tuple[str, Node]], draft: Draft) -> tuple[str, ...]:
    for name, place in names:
        if name not in draft.channels:
            hint = near_or_list(name, draft.channels)
            draft.report.fault(place, f"no channel is called {name!r}", f"{hint}; or define it under `channels:`")
    return tuple(name for name, _ in names)


def _unless(node: Node | None, draft: Draft) -> tuple[str, ...] | None:
    """Outcomes of earlier steps; an empty list is allowed: only the goal and ``cancel_on`` end the action then."""
    if node is None:
        return None
    out: dict[str, None] = {}
    for item in node.items if node.kind == "list" else [node]:
        outcome = read_choice(item, draft.report, "'unless'", sorted(OUTCOMES - NO_END))
        if outcome in out:
            draft.report.fault(item, f"{outcome!r} is given twice")
        if outcome is not None:
            out[outcome] = None
    return tuple(out)


def read_budget(node: Node | None, cost: float | None, draft: Draft) -> Budget | None:
    """``cost`` is the action's, 0 if it has none, None if what it has is a fault."""
    if node is None:
        return None
    table = Table(node, draft.report, "'budget'")
    place = table.need("amount", "in the unit of `cost`, for example 500")
    amount = None if place is None else read_number(place, draft.report, "'amount'", 0.0, HIGHEST_AMOUNT)
    per = table.choice("per", ("day", "week", "month"), required=True)
    table.finish()
    if cost == 0.0:
        draft.report.fault(node, "'budget' is never used up: the action costs nothing", "add `cost`, of one contact")
    elif cost is not None and amount is not None and place is not None and amount < cost:
        draft.report.fault(place, f"'amount' is {amount:g}: not enough for one contact, which costs {cost:g}")
    if amount is None or per is None:
        return None
    return Budget(amount, cast(Literal["day", "week", "month"], per))


def read_guardrails(node: Node | None, draft: Draft) -> Guardrails | None:
    if node is None:
        return None
    table = Table(node, draft.report, "'guardrails'")
    rates: dict[str, Any] = {}
    for key in RATES:
        place = table.take(key)
        rate = None if place is None else _rate(place, key, draft)
        if rate is not None:
            rates[key] = rate
    window = table.integer("window", LEAST_WINDOW, MOST_WINDOW)
    contacts = table.integer("contacts", 1, MOST_CONTACTS)
    pause = table.boolean("pause", False)
    table.finish()
    if contacts is not None and "crowded" not in table:
        draft.report.fault(
            table.key_place("contacts"), "'contacts' belongs to 'crowded'", "give the share that may be so"
        )
    if node.kind == "map" and not any(key in table for key in RATES):
        draft.report.fault(node, "'guardrails' bounds no rate", "give one of " + ", ".join(RATES))
    counts = {"window": window, "contacts": contacts}
    given = rates | {key: value for key, value in counts.items() if value is not None}
    return Guardrails(**given, pause=pause)


def _rate(node: Node, key: str, draft: Draft) -> float | None:
    value = node.scalar
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1.0:
        hint = f"write {value / 100:g}" if 1 < value <= 100 else "for example 0.01"
        draft.report.fault(node, f"{key!r} is {node.text}: a rate is always below 1", hint)
        return None
    return read_number(node, draft.report, repr(key), 0.0, 1.0)
