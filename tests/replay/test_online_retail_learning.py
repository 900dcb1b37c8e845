"""A year of invoices, scored for churn while it is learned: one pass, labels as they mature.

The protocol: weekly scores of customers active in the last 90 days, churn is no order in the 90 days after the score,
quality over the last 30 % of the scores. Batch logistic regression reaches an AUC of 0.760 on it, the number of orders
as a rule 0.743, recency 0.600.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from streams.contracts.outputs import Example, Outputs, Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.tools.replay.mapping_file import load_mapping
from streams.tools.replay.rows import Refused
from streams.tools.replay.run import replay
from streams.tools.replay.shipped import find
from streams.tools.replay.sources import merged, open_inputs
from streams.tools.replay.summary import Summary

DAY = 86_400_000
CUT = 1_303_689_600_000
"""25 April 2011, a Monday."""


def invoices(path: Path) -> Iterable[Touchpoint | Refused]:
    return merged(open_inputs([path], [load_mapping(find("online_retail", "mapping"))]))


class Replayed(Protocol):
    summary: Summary
    examples: list[Example]


def test_the_scores_as_given_are_better_than_the_rules(online_retail: Replayed) -> None:
    (quality,) = online_retail.summary.risks
    assert quality.by_prior == 0
    assert quality.tested > 20_000
    assert quality.issued.auc >= 0.745
    assert quality.rules["fewest orders"] == pytest.approx(0.743, abs=0.01)
    assert quality.rules["longest without order"] == pytest.approx(0.600, abs=0.01)
    assert quality.issued.auc > max(quality.rules.values())
    assert quality.issued.ece < 0.05
    assert quality.champion == "logistic"


def test_no_label_is_learned_before_it_is_known(online_retail: Replayed) -> None:
    examples = [one for one in online_retail.examples if not one.risk.startswith("action.")]
    assert {e.label for e in examples} == {True, False}
    for example in examples:
        assert example.scored_at < example.matured_at <= example.scored_at + 90 * DAY
        assert not example.label or example.matured_at == example.scored_at + 90 * DAY
    assert all(e.features["days_since_order"] >= 0.0 for e in examples if "days_since_order" in e.features)


def scored_until_the_cut(items: Iterable[Touchpoint | Refused]) -> list[Signal]:
    found: list[Signal] = []

    def each(outputs: Outputs) -> None:
        found.extend(s for s in outputs.signals if s.kind == "churn_risk" and s.time <= CUT)

    replay(load_files([find("online_retail", "journey")]), items, learn=True, each=each)
    return found


def test_another_future_changes_no_score_already_made(data_file: Callable[[str], Path]) -> None:
    """From the cut on, every customer lives the life of another."""
    end = CUT + 30 * DAY
    some = [
        item
        for item in invoices(data_file("online_retail.csv.gz"))
        if isinstance(item, Touchpoint) and item.occurred_at <= end and not int(item.customer_id or 0) % 3
    ]
    customers = sorted({item.customer_id or "" for item in some})
    exchanged = dict(zip(customers, reversed(customers), strict=True))
    true = scored_until_the_cut(map(copy, some))
    other = scored_until_the_cut(
        replace(item, customer_id=exchanged[item.customer_id or ""]) if item.occurred_at > CUT else item
        for item in some
    )
    assert len(true) > 500
    assert any("@" in (s.model or "") for s in true), "otherwise no model has scored before the cut"
    assert true == other
