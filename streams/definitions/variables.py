"""Every variable that a CEL condition may read: type, scope, meaning and an example.

Owns the list; ``engine/facts.py`` supplies the values, ``cel.py`` declares them to the type checker. All numbers are
doubles. Scopes: ``event`` (a touchpoint, in ``where``), ``customer`` (segments, leave_when, dates,
features, priors),
``action`` (customer plus the signal that caused it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["event", "customer", "action"]
CelType = Literal["bool", "double", "string", "map<string, dyn>", "map<string, double>", "map<string, string>",
                  "map<string, bool>", "list<string>", "list<dyn>"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    type: CelType
    scope: Scope
    meaning: str
    example: str


def _v(scope: Scope, rows: str) -> list[Variable]:
    out = []
    for row in rows.strip().splitlines():
        name, type_, example, meaning = (cell.strip() for cell in row.split("|", 3))
        out.append(Variable(name, type_, scope, meaning, example))  # type: ignore[arg-type]  # checked by a test
    return out


EVENT: Final = _v(
    "event",
    """
    event.type       | string           | event.type == 'page'               | standard name of the event
    event.actor      | string           | event.actor == 'agent'             | customer, agent, company or system
    event.channel    | string           | event.channel == 'web'             | channel, empty if none
    event.value      | double           | event.value > 100.0                | value in the event's currency, 0 if none
    event.currency   | string           | event.currency == 'GBP'            | currency, empty if none
    event.topic      | string           | event.topic == 'billing'           | topic of a contact, empty if none
    event.queue      | string           | event.queue == 'vip'               | queue, empty if none
    event.team       | string           | event.team == 'second line'        | team, empty if none
    event.direction  | string           | event.direction == 'inbound'       | inbound or outbound, empty if none
    event.wait_ms    | double           | event.wait_ms > 120000.0           | time waited (ms), 0 if none
    event.sentiment  | double           | event.sentiment < -0.5             | -1 to 1, 0 if none
    event.emotion    | string           | event.emotion == 'angry'           | a word, empty if none
    event.intent     | string           | event.intent == 'cancel'           | what the customer wants, empty if none
    event.survey     | string           | event.survey == 'nps'              | nps, csat or ces, empty if none
    event.score      | double           | event.score <= 6.0                 | survey score, 0 if none
    event.campaign   | string           | event.campaign == 'spring'         | campaign, empty if none
    event.source     | string           | event.source == 'pos'              | system that wrote it, empty if none
    properties       | map<string, dyn> | properties.path == '/checkout'     | the touchpoint's own properties
    """,
)

CUSTOMER: Final = _v(
    "customer",
    """
    now                  | double              | now > 1.7e12                          | event time (ms since 1970)
    customer_id          | string              | customer_id != ''                     | empty while anonymous
    locale               | string              | locale == 'en-GB'                     | last known, empty if none
    time_zone            | string              | time_zone == 'Europe/London'          | last known, empty if none
    traits               | map<string, dyn>    | traits.staff == true                  | set by identify touchpoints
    consent              | map<string, bool>   | consent.email                         | by channel
    segments             | list<string>        | 'employee' in segments                | segments the customer is in
    lifetime_value       | double              | lifetime_value >= 500.0               | sum of Order Completed less refunds
    orders               | double              | orders >= 2.0                         | number of Order Completed
    average_order_value  | double              | average_order_value > 40.0            | lifetime value by orders
    days_since_order     | double              | days_since_order > 90.0               | since the last order, 1e9 if none
    days_since_first_seen| double              | days_since_first_seen < 7.0           | since the first touchpoint
    touchpoints          | double              | touchpoints > 100.0                   | customer's touchpoints ever
    channel_share        | map<string, double> | channel_share.mobile_app > 0.6        | share of customer's touchpoints
    last.channel         | string              | last.channel == 'store'               | of the last customer touchpoint
    last.search          | string              | last.search != ''                     | last search text
    last.product         | string              | last.product != ''                    | product last viewed
    last.category        | string              | last.category == 'audio'              | category last viewed
    last.path            | string              | last.path == '/help'                  | page last viewed
    last.intent          | string              | last.intent == 'return'               | what the customer last wanted
    last.topic           | string              | last.topic == 'delivery'              | topic of the last contact
    cart.items           | double              | cart.items == 0                       | pieces in the cart
    cart.value           | double              | cart.value * 0.2                      | price by quantity, summed
    cart.products        | list<string>        | 'p-1' in cart.products                | product ids in the cart
    cart.items_list      | list<dyn>           | size(cart.items_list) > 0             | product_id, quantity, price
    session.open         | bool                | session.open                          | a session is open
    session.touchpoints  | double              | session.touchpoints > 20.0            | in the open session, else 0
    session.minutes      | double              | session.minutes > 10.0                | length so far, else 0
    session.frustration  | double              | session.frustration >= 2.0            | frustration score
    stages               | map<string, string> | stages.purchase == 'cart'             | open journey -> stage reached
    contacts.open        | double              | contacts.open > 0.0                   | contacts open now
    contacts.total       | double              | contacts.total > 3.0                  | contacts started ever
    satisfaction.nps     | double              | satisfaction.nps >= 9.0               | last answer, -1 if none
    satisfaction.csat    | double              | satisfaction.csat <= 2.0              | last answer, -1 if none
    satisfaction.ces     | double              | satisfaction.ces <= 3.0               | last answer, -1 if none
    satisfaction.mood    | double              | satisfaction.mood < -0.3              | mean of the last three sentiments, 0 if none
    satisfaction.emotion | string              | satisfaction.emotion == 'angry'       | last word, empty if none
    risk                 | map<string, double> | risk.churn > 0.7                      | risk -> latest score, while it is scored
    risk_band            | map<string, string> | risk_band.churn == 'high'             | risk -> band held, while it is scored
    expected_value       | double              | expected_value > 200.0                | spending expected at the last score, else 0
    """,
)

ACTION: Final = _v(
    "action",
    """
    signal.kind     | string              | signal.kind == 'friction'            | kind of the causing signal
    signal.name     | string              | signal.name == 'payment_failed_twice'| its rule
    signal.journey  | string              | signal.journey == 'purchase'         | its journey, empty if none
    signal.instance | string              | signal.instance != ''                | its instance, empty if none
    signal.stage    | string              | signal.stage == 'payment'            | its stage, empty if none
    signal.severity | string              | signal.severity == 'high'            | low, medium, high, critical
    signal.band     | string              | signal.band == 'high'                | band of a churn risk, empty if none
    signal.words    | list<string>        | size(signal.words) > 0               | reasons of a churn risk, the strongest first
    signal.time     | double              | signal.time > 0.0                    | event time (ms)
    signal.figures  | map<string, double> | signal.figures.count > 2.0           | figures of its evidence
    """,
)

VARIABLES: Final[dict[str, Variable]] = {v.name: v for v in (*EVENT, *CUSTOMER, *ACTION)}


def visible(scope: Scope) -> dict[str, Variable]:
    """The variables that an expression of that scope may read."""
    scopes = {"event": {"event"}, "customer": {"customer"}, "action": {"customer", "action"}}[scope]
    return {name: v for name, v in VARIABLES.items() if v.scope in scopes}
