"""Whatever a touchpoint says that the codec lets through: the partition goes on, its state can be stored and restored,
its outputs can be written."""

from __future__ import annotations

import random
from typing import Any

import pytest

from streams.contracts.limits import LATEST_MS
from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.load import load_files, load_texts, shipped
from tests.support.engines import T0, D, Run, touchpoint
from tests.support.policies import models_of, policed
from tests.support.worlds import KINDS, STRESS, loaded

VALUES: list[Any] = [
    0, 1, -1, 5, 1e308, -1e308, 2**62, -(2**63), "", "x", "p1", "é" * 300, True, False, None, 0.5, 1e-300,
    [1, 2], ["a"], [{"a": 1}],
]  # fmt: skip
TEXTS = ("a", "b", "", "web", "email", "nps", "csat", "purchase", None, "é" * 200)
TEXT_FIELDS = (
    "channel",
    "topic",
    "case_id",
    "contact_id",
    "locale",
    "time_zone",
    "intent",
    "emotion",
    "survey",
    "journey",
)
PROPERTIES = (
    "product_id", "quantity", "price", "total", "x", "y", "target", "target_kind", "page_url", "path", "url", "query",
    "direction_changes", "duration_ms", "name", "value_ms",
)  # fmt: skip
TRAITS = ("email", "phone", "renewal", "renewal_due_at", "staff", "push_token")
STEPS = (0, 1, 1_000, 60_000, 600_000, 3_600_000, 86_400_000)
ACTORS = (None, None, None, "agent", "company", "system")


def strange(rng: random.Random, run: Run, names: list[str], t: int, n: int) -> Any:
    fields: dict[str, Any] = {name: rng.choice(TEXTS) for name in rng.sample(TEXT_FIELDS, 4)}
    fields["properties"] = {name: rng.choice(VALUES) for name in PROPERTIES if rng.random() < 0.5}
    if rng.random() < 0.3:
        fields["traits"] = {rng.choice(TRAITS): rng.choice(VALUES[:17])}
    if rng.random() < 0.3:
        fields["consent"] = {rng.choice(["email", "sms", "push", "x"]): rng.choice([True, False, None])}
    for name in ("value", "score", "sentiment"):
        if rng.random() < 0.3:
            fields[name] = rng.choice([0.0, 1.0, 9.0, -1.0, 1e308, -1e308])
    if rng.random() < 0.3:
        fields["wait_ms"] = rng.choice([0, 10**6, 2**62, -5])
    if run.triggers and rng.random() < 0.3:
        fields["trigger_id"] = rng.choice(run.triggers).trigger_id
        fields["outcome"] = rng.choice(["sent", "delivered", "unsubscribed", "bounced", "opened"])
    at = max(0, t - rng.choice([0, 0, 0, 5_000, 10**6]))
    return touchpoint(at, rng.choice(names), rng.choice("abc"), event_id=f"e{n}", actor=rng.choice(ACTORS), **fields)


POLICED_KINDS = ("Payment Failed", "Product Added", "Order Completed", "Survey Answered", "Message Sent", "identify")
ZONES = (None, None, "Europe/London", "Pacific/Apia", "Mars/Phobos", "", "../../etc/passwd", "é" * 300)
DEALINGS = ("sent", "not_sent", "delivered", "opened", "clicked", "dismissed", "unsubscribed", "bounced", "converted")


def dealt_with(rng: random.Random, run: Run, names: list[str], t: int, n: int) -> Any:
    """A strange touchpoint that says something about contacts, too."""
    one = strange(rng, run, names, t, n)
    one.time_zone = rng.choice(ZONES)
    one.campaign, one.dispatch = rng.choice((None, "c", "é" * 300)), rng.choice((None, "d", ""))
    one.outcome = rng.choice((None, None, *DEALINGS))
    own = [trigger.trigger_id for trigger in run.triggers if trigger.customer == one.customer_id]
    one.trigger_id = rng.choice((None, "nobody's", *own))
    if rng.random() < 0.4:
        one.consent, one.traits = {"email": True, "push": True}, {"email": "a@x.example", "push_token": "t"}
    return one


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ends", [False, True], ids=["today", "end of the calendar"])
def test_no_touchpoint_stops_a_partition_with_every_policy(seed: int, ends: bool) -> None:
    rng = random.Random(seed)
    definition = policed(load_texts([("stress.journey.yaml", STRESS)]))
    run = Run(definition)
    for model in models_of(definition):
        run.adopt_model(model)
    names = sorted({kind for kind, _ in KINDS} | set(POLICED_KINDS))
    t = LATEST_MS - T0 - 30 * D if ends else 0
    for n in range(250):
        t = min(t + rng.choice(STEPS), LATEST_MS - T0)
        run.hear(dealt_with(rng, run, names, t, n))
        if n % 60 == 0:
            run.restart()
    run.drain()
    assert {decision.outcome for decision in run.decisions} >= {"none", "issued"}
    for decision in run.decisions:
        chances = [c.propensity for c in decision.candidates if c.propensity is not None]
        assert sum(chances) == pytest.approx(1.0 if chances else 0.0)
    codec = OutputCodec(PackagedSchemas(), "test")
    for trigger in run.triggers:
        codec.trigger(trigger)
    for decision in run.decisions:
        codec.decision(decision)


@pytest.mark.parametrize("seed", range(8))
def test_no_touchpoint_stops_the_partition(seed: int) -> None:
    rng = random.Random(seed)
    definitions = [load_files([shipped("shop"), shipped("service")]), loaded()]
    run = Run(definitions[seed % 2])
    names = sorted(
        {kind for kind, _ in KINDS}
        | {
            "Web Vital Measured",
            "Cursor Moved",
            "Error Shown",
            "Page Scrolled",
            "Coupon Denied",
            "Transferred",
            "Answered",
        }
        | {ref.event for d in definitions for j in d.journeys for stage in j.stages for ref in stage.on}
    )
    t = 0
    for n in range(120):
        t += rng.choice(STEPS)
        run.hear(strange(rng, run, names, t, n))
        if n % 40 == 0:
            run.restart()
        if n == 75:
            run.adopt(definitions[1 - seed % 2])
    run.drain()
    run.restart()
    run.until(t + 500 * D)
    assert run.engine.profiles == 0
    assert run.totals["processed"] + run.totals["too_late"] == 120
    codec = OutputCodec(PackagedSchemas(), "test")
    for signal in run.signals:
        codec.signal(signal)
    for trigger in run.triggers:
        codec.trigger(trigger)
    for decision in run.decisions:
        codec.decision(decision)
    for _, view in run.views:
        if view is not None:
            codec.customer(view)
