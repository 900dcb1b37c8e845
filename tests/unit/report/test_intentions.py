"""What another policy would have decided: by the models of its time, and by each customer's own P."""

from __future__ import annotations

import msgspec
import pytest

from streams.tools.report.intentions import OtherPolicy
from streams.tools.report.records import Intended
from tests.support.engines import T0, H, define, touchpoint
from tests.support.policies import SHOP, snapshot

RISKY = (
    SHOP
    + """
  call: {purpose: service, when: {signal: friction}, channel: store, value: 10, expires_after: 1d}
risks: {churn: {without: Order Completed, horizon: 30d, features: [orders]}}
"""
)


def test_each_customer_is_weighed_by_the_contextual_model_of_the_time() -> None:
    definition = define(RISKY)
    mail, call = definition.actions
    models = [
        snapshot(definition, one, 400.0, 600.0, weights=[weight], means=[0.7], scales=[0.7], intercept=0.0,
                 precisions=[200.0, 200.0], learned_until=T0 + H)
        for one, weight in ((mail, 3.0), (call, -3.0))
    ]  # fmt: skip
    heard: list[Intended] = []
    gone = msgspec.structs.replace(models[0], name="action.gone")
    policy = OtherPolicy(definition, [*models, gone], heard.append)
    for at, who in ((0, "early"), (2 * H, "new"), (2 * H + 10, "regular")):
        policy.process(touchpoint(at, "identify", who, traits={"email": "a@x.example"}, consent={"email": True}))
        for n in range(3 if who == "regular" else 0):
            policy.process(touchpoint(at + 1 + n, "Order Completed", who))
        policy.process(touchpoint(at + 5, "Payment Failed", who))
    chances = {one.customer: one.chances for one in heard}
    assert chances["early"] == {"mail": 1.0}, "the models were published later"
    assert chances["new"]["call"] == pytest.approx(1.0, abs=0.01)
    assert chances["regular"]["mail"] == pytest.approx(1.0, abs=0.01)
