"""Risks, the features that a definition adds, and the priors of the expected value.

Owns reading and checking them, and the signature of a risk. What a feature is and how it is read is the engine's
(``engine/scoring/features.py``); which pipelines there are is in ``pipelines.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from streams.definitions.cel import CelExpression
from streams.definitions.draft import Draft
from streams.definitions.faults import near
from streams.definitions.matching import read_whens
from streams.definitions.model import DAY_MS, Band, EventRef, OwnFeature, Risk, When
from streams.definitions.pipelines import read_learning
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_name, read_number, spoken_ms

MAX_RISKS: Final = 20
"""Each customer has a state, and snapshots that wait, for each of them."""
MAX_FEATURES: Final = 100
"""Of one risk: a snapshot keeps all of them until its label is known."""
MAX_OWN: Final = 50
MAX_BANDS: Final = 20
ALL_STANDARD: Final = "standard"
"""In a list of features: all those that a risk uses which names none."""
WAITING: Final = 40
"""Snapshots of a risk that wait for their label; the engine keeps no more."""
OF_ACTIONS: Final = "action."
"""Names that begin so are those of the models of actions (``action.cart_reminder``)."""
ASSUMED: Final = "churn"
ASSUMED_HORIZON_MS: Final = 90 * DAY_MS
LEAST_EVERY_MS: Final = 3_600_000
MADE_BY_SCORES: Final = frozenset({"risk", "risk_band", "expected_value"})
"""Variables that a score sets: what a score is made of must not read them."""


def read_features(table: Table, draft: Draft) -> None:
    node = table.take("features")
    if node is None:
        return
    standard = _registry()
    for key, value in Table(node, draft.report, "'features'").entries():
        name = read_name(key, draft.report, "a feature")
        if name is None or not draft.claim("feature", name, key):
            continue
        if len(draft.known("feature")) == MAX_OWN + 1:
            draft.report.fault(key, f"more than {MAX_OWN} features of your own")
        if name in standard or name == ALL_STANDARD:
            draft.report.fault(key, f"{name!r} is a standard feature", "give yours another name")
        inner = Table(value, draft.report, f"feature {name!r}")
        place = inner.need("value", "CEL with a number")
        expression = draft.expression(place, "customer", "double", "'value'")
        title = inner.text("title")
        unit = inner.text("unit")
        inner.finish()
        if expression is not None and place is not None:
            if not expression.uses:
                draft.report.fault(place, "'value' is the same for everyone: it reads no variable")
            _not_of_scores(expression, place, "a feature", draft)
            draft.features[name] = OwnFeature(name, expression, title or name.replace("_", " "), unit or "")


def read_risks(table: Table, draft: Draft) -> None:
    node = table.take("risks")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'risks'").entries():
        name = read_name(key, draft.report, "a risk")
        if name is None or not draft.claim("risk", name, key):
            continue
        if name.startswith(OF_ACTIONS):
            draft.report.fault(key, f"{name!r} is the name of an action's model", "give the risk another name")
        if len(draft.known("risk")) == MAX_RISKS + 1:
            draft.report.fault(key, f"more than {MAX_RISKS} risks")
        risk = _risk(name, value, draft)
        if risk is not None:
            draft.risks[name] = risk


def assume_churn(tables: Iterable[Table], draft: Draft) -> None:
    """Where an action or a pause selects churn_risk signals and no file declares a risk: who does not buy for 90 days.

    After Segment's likelihood to churn ("will not do X in N days"). The owner is warned, as it is a guess of what they
    mean; without a purchase journey there is nothing to guess from, and the selection is a fault.
    """
    if draft.known("risk"):
        return
    goals = [journey.goal for journey in draft.journeys.values() if journey.type == "purchase"]
    on = dict.fromkeys(ref for goal in goals for ref in goal.on)
    sections = [section for table in tables for section in (table.take("actions"), table.take("contact_policy"))]
    place = next((found for section in sections for found in _selected(section)), None)
    if not on or place is None:
        return
    risk = Risk(ASSUMED, "without", tuple(on), ASSUMED_HORIZON_MS, features=_features(None, draft))
    if risk.horizon_ms + risk.active_within_ms > draft.time.forget_after_ms:
        return
    draft.claim("risk", ASSUMED, place)
    draft.risks[ASSUMED] = replace(risk, signature=signature(risk, draft.features))
    spoken = ", ".join(ref.event for ref in on)
    message = f"no risk is declared: {ASSUMED!r} is taken to be {{without: [{spoken}], horizon: 90d}}"
    draft.report.warn(place, message, "declare it under `risks:`")


def _selected(node: Node | None) -> Iterator[Node]:
    """Every place that selects churn_risk signals."""
    for key, value in [] if node is None else node.pairs:
        if key.text == "signal" and value.text == "churn_risk":
            yield value
        yield from _selected(value)
    for item in [] if node is None else node.items:
        yield from _selected(item)


def _risk(name: str, node: Node, draft: Draft) -> Risk | None:
    before = len(draft.report.faults)
    table = Table(node, draft.report, f"risk {name!r}")
    comes_true, on = _label(table, draft)
    horizon = table.duration("horizon", required=True, lowest_ms=1_000)
    until_node = table.take("until")
    until = draft.expression(until_node, "customer", "date", "'until'")
    _not_of_scores(until, until_node, "a date", draft)
    scored = _scored(table.take("scored"), draft)
    bands = _bands(table.take("bands"), draft)
    hysteresis = table.number("hysteresis", 0.0, 1.0)
    prior = _prior(table.take("prior"), draft)
    features = _features(table.take("features"), draft)
    learning = read_learning(table.take("learn"), draft)
    table.finish()
    given = {"bands": bands, "hysteresis": hysteresis, "prior": prior, **scored.given}
    risk = Risk(
        name=name,
        comes_true=comes_true,
        on=on,
        horizon_ms=horizon or 0,
        until=until,
        features=features,
        learning=learning,
        **{key: value for key, value in given.items() if value is not None},
    )
    draft.remember(horizon, table.key_place("horizon"))
    if horizon is not None:
        _check_times(risk, table, scored, draft)
    gap = round(min(b.at - a.at for a, b in pairwise(risk.bands)), 9) if bands or "bands" not in table else 1.0
    if risk.hysteresis > gap > 0.0:
        message = f"'hysteresis' is {risk.hysteresis:g}, more than the smallest band is wide ({gap:g})"
        draft.report.fault(table.key_place("hysteresis"), message, "such a band would never be left downwards")
    if len(draft.report.faults) > before:
        return None
    return replace(risk, signature=signature(risk, draft.features))


def _label(table: Table, draft: Draft) -> tuple[Literal["without", "with"], tuple[EventRef, ...]]:
    refs = {key: draft.refs(table.take(key), repr(key)) for key in ("without", "with")}
    if table.node.kind == "map" and ("without" in table) == ("with" in table):
        message = f"{table.what} needs either 'without' or 'with'"
        draft.report.fault(table.node, message, "it comes true without (or with) these events within the horizon")
    return ("with", refs["with"]) if "with" in table else ("without", refs["without"])


class _Scored(NamedTuple):
    """What ``scored`` says; only what is given is in ``given``."""

    given: dict[str, Any]
    table: Table | None


def _scored(node: Node | None, draft: Draft) -> _Scored:
    if node is None:
        return _Scored({}, None)
    table = Table(node, draft.report, "'scored'")
    given: dict[str, Any] = {
        "active_within_ms": table.duration("active_within", lowest_ms=1_000),
        "every_ms": table.duration("every", lowest_ms=1_000),
        "spread": table.boolean("spread", True),
        "score_on": _score_on(table.take("on"), draft),
        "apart_ms": table.duration("apart", lowest_ms=0),
    }
    if "apart" in table and "on" not in table:
        draft.report.fault(table.key_place("apart"), "'apart' belongs to 'on': the clock keeps 'every' anyway")
    table.finish()
    draft.remember(given["active_within_ms"], table.key_place("active_within"))
    return _Scored({key: value for key, value in given.items() if value is not None}, table)


def _score_on(node: Node | None, draft: Draft) -> tuple[When, ...]:
    found = read_whens(node, draft, "'on'")
    if node is not None and any(when.signal == "churn_risk" for when in found):
        draft.report.fault(node, "a score cannot ask for a score: churn_risk signals come of one")
    return found


def _check_times(risk: Risk, table: Table, scored: _Scored, draft: Draft) -> None:
    def place(key: str) -> Node:
        inner = scored.table
        return inner.key_place(key) if inner is not None and key in inner else table.key_place("horizon")

    horizon, every, active = risk.horizon_ms, risk.every_ms, risk.active_within_ms
    remembered = draft.time.forget_after_ms
    if max(horizon, active) <= remembered < horizon + active:
        message = (
            f"'horizon' and 'active_within' are {spoken_ms(horizon + active)} together, longer than profiles are "
            f"remembered ({spoken_ms(remembered)}): labels of those who left would be lost"
        )
        draft.report.fault(place("active_within"), message, "lengthen `time.forget_after`")
    # Where all is short, as in a definition whose time runs faster, a score an hour would be too few.
    least = min(LEAST_EVERY_MS, horizon // WAITING)
    if every < least:
        draft.report.fault(place("every"), f"'every' is {spoken_ms(every)}, wanted is at least {spoken_ms(least)}")
    elif every * WAITING < horizon:
        message = f"more than {WAITING} scores wait for their label at once; those beyond teach the model nothing"
        draft.report.warn(place("every"), message, f"'every' is best {spoken_ms(-(-horizon // WAITING))} or more")
    if every > horizon:
        message = f"'every' ({spoken_ms(every)}) is longer than 'horizon' ({spoken_ms(horizon)})"
        draft.report.warn(place("every"), message, "what comes true between two scores is no label of either")
    if active < every and not risk.score_on:
        message = f"'active_within' ({spoken_ms(active)}) is shorter than 'every' ({spoken_ms(every)})"
        draft.report.warn(place("active_within"), message, "many are never scored")


def _bands(node: Node | None, draft: Draft) -> tuple[Band, ...] | None:
    if node is None:
        return None
    if node.kind == "map" and not 2 <= len(node.pairs) <= MAX_BANDS:
        draft.report.fault(node, f"a risk has 2 to {MAX_BANDS} bands, not {len(node.pairs)}")
        return None
    out: list[Band] = []
    for key, value in Table(node, draft.report, "'bands'").entries():
        name = read_name(key, draft.report, "a band")
        at = read_number(value, draft.report, f"band {key.text!r}", 0.0, 1.0)
        if name is None or at is None:
            return None
        if not out and at != 0.0:
            draft.report.fault(value, f"the first band begins at 0, not at {value.text}", "every score is in a band")
        elif out and at <= out[-1].at:
            message = f"bands rise: {name!r} at {value.text} is not above {out[-1].name!r}"
            draft.report.fault(value, message, "name the lowest first")
        elif at >= 1.0:
            draft.report.fault(value, f"no score reaches band {name!r}: all are below 1")
        out.append(Band(name, at))
    return tuple(out)


def _prior(node: Node | None, draft: Draft) -> float | CelExpression | None:
    if node is None:
        return None
    if isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool):
        if 0.0 < node.scalar < 1.0:
            return float(node.scalar)
        draft.report.fault(node, f"'prior' is {node.text}, wanted is a probability between 0 and 1, neither of them")
        return None
    expression = draft.expression(node, "customer", "double", "'prior'")
    if expression is not None and not expression.uses:
        draft.report.fault(node, "'prior' reads no variable", "write the number without quotes")
    _not_of_scores(expression, node, "a prior", draft)
    return expression


def _features(node: Node | None, draft: Draft) -> tuple[str, ...]:
    """Names in their order; those of the standard list where none are given."""
    from streams.engine.scoring.features import STANDARD  # noqa: PLC0415 - see _registry

    if node is None:
        return STANDARD
    standard, own = _registry(), draft.known("feature")
    if node.kind == "list" and not node.items:
        draft.report.fault(node, "'features' is an empty list", "leave it out for the standard ones")
    out: dict[str, None] = {}
    for item in node.items if node.kind == "list" else [node]:
        name = item.text if item.kind == "scalar" else ""
        if name != ALL_STANDARD and name not in standard and name not in own:
            hint = near(name, [*standard, *own]) or "`journey features` lists them; your own are under `features:`"
            draft.report.fault(item, f"no feature is called {item.text!r}", hint)
            continue
        for each in STANDARD if name == ALL_STANDARD else (name,):
            if each in out:
                draft.report.fault(item, f"feature {each!r} is given twice")
            out[each] = None
    if len(out) > MAX_FEATURES:
        draft.report.fault(node, f"a risk has at most {MAX_FEATURES} features, not {len(out)}")
    return tuple(out)


def _registry() -> Iterable[str]:
    """Names of the standard features. The engine is imported only by definitions that speak of them."""
    from streams.engine.scoring.features import FEATURES  # noqa: PLC0415

    return FEATURES.keys()


def _not_of_scores(expression: CelExpression | None, place: Node | None, what: str, draft: Draft) -> None:
    if expression is None or place is None:
        return
    read = sorted(expression.uses & MADE_BY_SCORES)
    if read:
        draft.report.fault(place, f"{what} cannot read {' and '.join(read)}: scores are made of it")
    draft.of_scores.append((expression, place, what))


def signature(risk: Risk, own: dict[str, OwnFeature]) -> str:
    """Digest of what a model depends on: how labels come about, over which time, and the features in their order.

    Bands, priors, when scores are made and how is learned are not part of it: a model outlives their changes.
    """
    parts = [
        risk.comes_true,
        [[ref.event, ref.where.text if ref.where is not None else None] for ref in risk.on],
        risk.horizon_ms,
        risk.until.text if risk.until is not None else None,
        [[name, own[name].value.text if name in own else None] for name in risk.features],
    ]
    return sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:16]


VALUE_NUMBERS: Final[dict[str, tuple[float, float, str]]] = {
    "prior_orders": (0.0, 1e6, "orders that a new customer is taken to have made in prior_within"),
    "prior_spend": (0.0, 1e9, "mean value of an order, in the company's currency"),
    "prior_weight": (0.0, 1e6, "orders that prior_spend counts for"),
}
VALUE_DURATIONS: Final = {
    "horizon": "time over which the customer's spending is expected",
    "prior_within": "see prior_orders",
}


def read_expected_value(table: Table, draft: Draft, given: dict[str, Any]) -> None:
    """``given`` carries what earlier files set."""
    node = table.take("expected_value")
    if node is None:
        return
    section = Table(node, draft.report, "'expected_value'")
    found: dict[str, Any] = {}
    for key, (lowest, highest, _) in VALUE_NUMBERS.items():
        found[key] = section.number(key, lowest, highest)
    for key in VALUE_DURATIONS:
        found[key] = section.duration(key, lowest_ms=1_000)
    section.finish()
    for key, value in found.items():
        if value is not None and given.setdefault(key, value) != value:
            draft.report.fault(section.key_place(key), f"another file sets {key!r} to something else")
    fields = {f"{key}_ms" if key in VALUE_DURATIONS else key: value for key, value in given.items()}
    draft.expected_value = replace(draft.expected_value, **fields)
    draft.value_place = node
