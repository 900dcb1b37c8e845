"""What a customer is expected to spend over a horizon: recency, frequency and monetary value, with shrinkage.

    expected value = expected orders x expected value of an order x probability of staying

Orders: a Poisson process whose rate is gamma distributed over customers (the purchase process of the Pareto/NBD and
BG/NBD models: Schmittlein, Morrison and Colombo 1987; Fader, Hardie and Lee 2005, "Counting your customers the easy
way"). With n orders in a time T since the first touchpoint, and a prior worth ``prior_orders`` in ``prior_within``,
the mean of the rate is (prior_orders + n) / (prior_within + T).

Value of an order: the conditional expectation of the gamma-gamma model of spend is a weighted mean of the customer's
own mean and that of all (Fader and Hardie 2013, "The gamma-gamma model of monetary value", equation 5; Fader, Hardie
and Lee 2005, "RFM and CLV"): (prior_weight x prior_spend + what n orders came to) / (prior_weight + n).

Staying: those models infer it from recency; here it is 1 - the score of the first risk that comes true by silence,
which knows recency and more. Refunds are taken off what was spent.
"""

from __future__ import annotations

from streams.definitions.model import ExpectedValue
from streams.engine.state import Profile


def expected_value(spec: ExpectedValue, p: Profile, t: int, staying: float) -> float:
    """In the currency of the orders, 0 or more. ``staying``: probability that the customer stays, 0 to 1."""
    observed = max(0, t - p.first_seen)
    time = spec.prior_within_ms + observed
    weight = spec.prior_weight + p.orders
    if time <= 0 or weight <= 0.0:
        return 0.0
    orders = (spec.prior_orders + p.orders) / time * spec.horizon_ms
    spent = max(0.0, p.value_micro / 1e6)
    return orders * (spec.prior_weight * spec.prior_spend + spent) / weight * staying
