"""What is read of contact policy, experiments, steps, channels, arbitration and changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.definitions.hours import minutes_of_week
from streams.definitions.load import load_texts
from streams.definitions.model import Action, Channel, Definition, When
from streams.definitions.pauses import paused_in, with_overlay, without_overlay
from streams.definitions.policy import (
    DAY_MS,
    Arbitration,
    Arm,
    Budget,
    Capacity,
    Change,
    ContactPolicy,
    Experiment,
    Guardrails,
    Holdout,
    Hours,
    Limit,
    PauseMarketing,
    QuietHours,
    SequenceStep,
    Suppression,
)

WORKDAYS = frozenset(range(5))
HOUR_MS = 3_600_000
HEAD = """\
version: 1
segments: {regular: {where: "orders >= 3"}}
"""


def loaded(text: str) -> Definition:
    found = load_texts([("d.yaml", HEAD + text)])
    assert found.warnings == ()
    return found


def action(*lines: str) -> Action:
    body = "\n".join(
        f"    {line}" for line in ("when: {signal: segment_entered}", "channel: email", "value: 5", *lines)
    )
    expiry = "" if any("expires_after" in line for line in lines) else "    expires_after: 2d\n"
    return loaded(f"actions:\n  thanks:\n{body}\n{expiry}").actions[0]


def channel(name: str, text: str, more: str = "") -> Channel:
    return loaded(f"channels:\n  {name}: {text}\n{more}").channels[name]


def test_a_definition_without_policy_has_the_defaults() -> None:
    found = loaded("")
    assert (found.contact_policy, found.arbitration, found.changes) == (ContactPolicy(), Arbitration(), ())
    plain = action()
    assert plain == Action("thanks", plain.when, ("email",), 2 * DAY_MS, value=5.0)


# channels


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("open 09:00-17:00", [Hours(540, 1020)]),
        ("open daily 9:00-17:00", [Hours(540, 1020)]),
        ("open Mon-Fri 09:00-17:00", [Hours(540, 1020, WORKDAYS)]),
        ("open monday-FRIDAY 09:00 - 17:00", [Hours(540, 1020, WORKDAYS)]),
        ("open Mon-Fri 09:00-17:00, Sat 10:00-14:00", [Hours(540, 1020, WORKDAYS), Hours(600, 840, frozenset({5}))]),
        ("open Mon, Wed, Sat-Sun 09:00-17:00", [Hours(540, 1020, frozenset({0, 2, 5, 6}))]),
        ("open Sat-Mon 22:00-02:00", [Hours(1320, 120, frozenset({5, 6, 0}))]),
        ("open Sun 00:00-24:00", [Hours(0, 1440, frozenset({6}))]),
    ],
)
def test_opening_hours_as_text(text: str, hours: list[Hours]) -> None:
    assert channel("callback", text).open == tuple(hours)


@pytest.mark.parametrize(
    ("text", "capacity"),
    [
        ("at most 60 an hour", Capacity(60, HOUR_MS)),
        ("at most 5 a minute", Capacity(5, 60_000)),
        ("at most 5 per day", Capacity(5, DAY_MS)),
        ("at most 200 per 15m", Capacity(200, 900_000)),
        ("{at_most: 200, per: 15m}", Capacity(200, 900_000)),
    ],
)
def test_capacity(text: str, capacity: Capacity) -> None:
    assert channel("callback", text).capacity == capacity


def test_a_text_leaves_all_else_of_a_known_channel_as_it_is() -> None:
    found = channel("callback", "open Mon-Fri 09:00-17:00, at most 60 an hour")
    expected = Channel("callback", identifier="phone", opt_in=False)
    assert found == Channel(
        "callback",
        identifier=expected.identifier,
        opt_in=expected.opt_in,
        open=(Hours(540, 1020, WORKDAYS),),
        capacity=Capacity(60, HOUR_MS),
    )


def test_opening_hours_are_in_the_companys_zone_unless_they_say_otherwise() -> None:
    time = "time: {timezone: Europe/London}\n"
    assert channel("store", "open 09:00-17:00", time).timezone == "Europe/London"
    assert channel("store", '{open: "09:00-17:00", timezone: Asia/Tokyo}', time).timezone == "Asia/Tokyo"
    files = [("a", HEAD + "channels: {store: 'open 09:00-17:00'}\n"), ("b", "version: 1\n" + time)]
    assert load_texts(files).channels["store"].timezone == "Europe/London"


DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@settings(deadline=None)
@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
)
def test_hours_are_read_as_they_are_written(days: frozenset[int], start: int, length: int) -> None:
    end = (start + length) % 1440
    named = ", ".join(DAY_NAMES[day] for day in sorted(days))
    text = f"open {named} {start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    (hours,) = channel("store", text).open
    assert hours == Hours(start, end, days)
    covered = {(day * 1440 + start + n) % 10_080 for day in days for n in range(length)}
    assert set(minutes_of_week(hours)) == covered


# actions


def test_what_an_action_is_worth_and_who_may_get_it() -> None:
    found = action(
        "cost: 0.5", 'weight: "orders / 2"', "lever: 2", "rollout: 0.25", "budget: {amount: 10, per: month}",
        "attribution: 1d", 'applicable: "contacts.open == 0"', 'suitable: "orders > 1"',
    )  # fmt: skip
    assert (found.cost, found.lever, found.rollout, found.attribution_ms) == (0.5, 2.0, 0.25, DAY_MS)
    assert found.budget == Budget(10.0, "month")
    assert not isinstance(found.weight, float)
    assert found.weight.value({"orders": 5.0}.__getitem__) == 2.5
    assert found.applicable is not None
    assert found.applicable.test({"contacts.open": 0.0}.__getitem__)
    assert found.suitable is not None
    assert not found.suitable.test({"orders": 1.0}.__getitem__)
    assert action("weight: 3").weight == 3.0


def test_holdouts() -> None:
    assert action("purpose: marketing", "holdout: {share: 0.1}").holdout == Holdout(0.1, "holdout/thanks")
    meant = action("holdout: {share: 0.1, salt: x, purpose: service}").holdout
    assert meant == Holdout(0.1, "x", ("service",))
    everyone = loaded("contact_policy: {holdout: {share: 0.05, purpose: [service, marketing]}}").contact_policy
    assert everyone.holdout == Holdout(0.05, "holdout", ("service", "marketing"))


def test_experiment() -> None:
    arms = (
        "{control: 0.25, short: {share: 0.5, content: {key: short, with: {tone: 1}}}, late: {share: 0.25, after: 8h}}"
    )
    found = action(f"experiment: {{arms: {arms}}}").experiment
    assert found == Experiment(
        "thanks",
        "experiment/thanks",
        (Arm("control", 0.25), Arm("short", 0.5, "short", {"tone": 1}), Arm("late", 0.25, delay_ms=8 * HOUR_MS)),
    )
    named = action("experiment: {name: tone, salt: two, arms: {a: 0.5, b: {share: 0.5, after: 1h}}}").experiment
    assert named is not None
    assert (named.name, named.salt) == ("tone", "two")


def test_shares_of_arms_may_add_up_to_one_in_any_decimals() -> None:
    arms = ", ".join(f"a{n}: {{share: 0.1, after: {n}m}}" for n in range(10))
    found = action(f"experiment: {{arms: {{{arms}}}}}").experiment
    assert found is not None
    assert len(found.arms) == 10


def test_steps() -> None:
    found = action(
        "steps: [{after: 4h, channel: sms}, {after: 1d, channel: [push, email], unless: [], content: {key: k}}]"
    )
    assert found.steps == (
        SequenceStep(4 * HOUR_MS, ("sms",)),
        SequenceStep(DAY_MS, ("push", "email"), (), "k"),
    )
    (step,) = action("steps: [{after: 4h, channel: sms, unless: dismissed}]").steps
    assert step.unless == ("dismissed",)


def test_guardrails() -> None:
    assert action("guardrails: {unsubscribed: 0.01}").guardrails == Guardrails(unsubscribed=0.01)
    found = action("guardrails: {dismissed: 0.2, complained: 0, window: 50, pause: true}").guardrails
    assert found == Guardrails(dismissed=0.2, complained=0.0, window=50, pause=True)
    assert action("guardrails: {crowded: 0.1, contacts: 5}").guardrails == Guardrails(crowded=0.1, contacts=5)


# the company


def test_contact_policy() -> None:
    found = loaded("""\
actions:
  thanks: {when: {signal: segment_entered}, channel: email, value: 1, expires_after: 1d}
contact_policy:
  quiet_hours:
    - {channels: email, from: 21:00, to: 8:00, days: Mon-Fri, then: drop}
    - {from: "00:00", to: "24:00", days: [Sat, sunday], purpose: marketing}
  limits:
    - {channel: email, at_most: 2, per: day}
    - {action: thanks, at_most: 1, per: 30d}
    - {channel: sms, at_most: 0, per: week, purpose: [marketing, service]}
  pause_marketing_while: [open_contact, {signal: segment_left, name: regular, for: 2w}]
  suppression: {after: 2, refusals: bounced, within: 30d, for: 60d}
""").contact_policy
    assert found.quiet_hours == (
        QuietHours(Hours(1260, 480, WORKDAYS), ("email",), "drop"),
        QuietHours(Hours(0, 1440, frozenset({5, 6})), purposes=("marketing",)),
    )
    assert found.limits == (
        Limit(2, days=1, channel="email"),
        Limit(1, within_ms=30 * DAY_MS, action="thanks", purposes=("service",)),
        Limit(0, days=7, channel="sms", purposes=("service", "marketing")),
    )
    assert found.pauses == (
        PauseMarketing(open_contact=True),
        PauseMarketing(when=When("segment_left", name=("regular",)), for_ms=14 * DAY_MS),
    )
    assert found.suppression == Suppression(2, 30 * DAY_MS, 60 * DAY_MS, ("bounced",))


def test_arbitration() -> None:
    found = loaded(
        "arbitration: {sampling: greedy, explore: 0.05, weights: {service: 3}, prior: {positives: 1, negatives: 9}}"
    ).arbitration
    assert found == Arbitration("greedy", 0.05, {"service": 3.0}, 1.0, 9.0)


def test_changes_are_dated_in_the_companys_zone_and_come_in_order() -> None:
    found = loaded("""\
time: {timezone: Europe/London}
changes:
  - {at: 2026-07-01T09:00, title: later}
  - {at: 2026-07-01, title: first}
  - {at: "2026-07-01T09:00+02:00", title: abroad}
""").changes
    midnight = 1_782_860_400_000  # 2026-06-30T23:00Z, as summer time is an hour ahead
    assert found == (
        Change(midnight, "first"),
        Change(midnight + 8 * HOUR_MS, "abroad"),
        Change(midnight + 9 * HOUR_MS, "later"),
    )


def test_paused_actions() -> None:
    text = """\
actions:
  thanks: {when: {signal: segment_entered}, channel: email, value: 1, expires_after: 1d}
  sorry: {when: {signal: segment_left}, channel: email, value: 1, expires_after: 1d}
paused: sorry
"""
    assert [a.paused for a in loaded(text).actions] == [False, True]
    own = (("d.yaml", HEAD + text),)
    sources = with_overlay(own, ["thanks"])
    assert [a.paused for a in load_texts(sources).actions] == [True, True]
    assert paused_in(sources) == {"thanks"}
    assert without_overlay(sources) == own
    assert paused_in(own) == frozenset()
    assert with_overlay(sources, []) == own
    assert paused_in(with_overlay(sources, ["sorry"])) == {"sorry"}


@pytest.mark.parametrize("name", ["null", "true", "on", "a.b-c", "_"])
def test_an_overlay_may_pause_an_action_of_any_name(name: str) -> None:
    text = f'actions: {{"{name}": {{when: {{signal: segment_entered}}, channel: email, expires_after: 1d}}}}\n'
    sources = with_overlay([("d.yaml", HEAD + text)], [name])
    (found,) = load_texts(sources).actions
    assert (found.name, found.paused) == (name, True)
    assert paused_in(sources) == {name}
