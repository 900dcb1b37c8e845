"""What the engine says: signals, triggers, decisions, customer views, journal lines; one struct for each contract.

Owns the field names (those of the files in ``avro/``). No output carries a wall-clock time (semantics, rule 1).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

SIGNAL_KINDS: Final = (
    "stage_entered",
    "stage_left",
    "goal_reached",
    "abandonment",
    "friction",
    "stalled",
    "satisfaction",
    "milestone",
    "segment_entered",
    "segment_left",
    "churn_risk",
)
SEVERITIES: Final = ("low", "medium", "high", "critical")


class Signal(msgspec.Struct, gc=False):
    """A finding about one customer."""

    signal_id: str
    customer: str
    """Profile id: customer_id, else anonymous_id."""
    kind: str
    name: str
    """The rule's name (for stages, goals and abandonment: the stage or the journey)."""
    time: int
    """Event time in ms: the due time for deadlines, else the completing touchpoint's."""
    journey: str | None = None
    instance: str | None = None
    """Value of ``instance_by``; "" for a journey without; None where no instance is meant."""
    stage: str | None = None
    severity: str | None = None
    reason: str | None = None
    """Why, for stage_left and the like: advanced, leave_when, goal, expired, limit, definition, forgotten."""
    evidence: list[str] = []
    """event_id of the touchpoints that made it, oldest first."""
    figures: dict[str, float] = {}
    historical: bool = False
    definition: int = 0
    band: str | None = None
    """churn_risk: the band entered; None where the customer is not scored any more (reason: inactive, until or
    definition)."""
    model: str | None = None
    """churn_risk: name@version of the model that made the score; "prior" or "rule" while there is none."""
    contributions: dict[str, float] = {}
    """churn_risk: feature -> by how much it raised the log-odds, the strongest first; where the score has fallen, those
    that lowered it (negative)."""
    words: list[str] = []
    """churn_risk: the same in words."""


class LastTouchpoint(msgspec.Struct, gc=False, array_like=True):
    """One step of the trail."""

    type: str
    occurred_at: int
    channel: str | None = None
    event_id: str = ""
    actor: str = "customer"


class Trigger(msgspec.Struct, gc=False):
    """An action for a downstream system, or its end. Each record repeats the whole."""

    trigger_id: str
    revision: int
    status: str
    """issued, fulfilled, cancelled or expired."""
    customer: str
    action: str
    purpose: str
    channel: str
    issued_at: int
    """Time of the causing signal (ms); of one that was held, or a sequence's later step, when it was released."""
    expires_at: int
    end_reason: str | None = None
    """late, goal_reached, cancel_on, replaced, consent, definition or guardrail."""
    ended_at: int | None = None
    replaced_by: str | None = None
    customer_id: str | None = None
    anonymous_id: str | None = None
    identifiers: dict[str, str] = {}
    """How the customer can be reached: email, phone, push_token."""
    journey: str | None = None
    instance: str | None = None
    stage: str | None = None
    not_before: int | None = None
    locale: str | None = None
    time_zone: str | None = None
    consent: dict[str, bool] = {}
    content_key: str | None = None
    content: dict[str, Any] = {}
    external: dict[str, Any] = {}
    reason_words: str = ""
    reason_signals: list[str] = []
    reason_touchpoints: list[str] = []
    stages: dict[str, str] = {}
    last_touchpoints: list[LastTouchpoint] = []
    open_contact: str | None = None
    intent: str | None = None
    emotion: str | None = None
    value: float | None = None
    priority: float | None = None
    propensity: float | None = None
    experiment: str | None = None
    arm: str | None = None
    definition: int = 0
    model: str | None = None
    test: bool = False
    step: int = 0
    """Of a sequence, from 0."""
    outcome: str | None = None
    """The newest that was heard of it, with its time and how it was matched: trigger_id, external (campaign or
    dispatch) or validity (the only trigger of the customer that is valid on the channel)."""
    outcome_at: int | None = None
    outcome_match: str | None = None


class Candidate(msgspec.Struct, gc=False):
    action: str
    closed_by: str | None = None
    """Gate that closed it (docs/decisions.md lists them); lower_value: another one has a higher priority; not_drawn:
    the draw took another one; None: it was chosen."""
    channel: str | None = None
    p: float | None = None
    c: float | None = None
    v: float | None = None
    l: float | None = None  # noqa: E741 - P x C x V x L is the field's notation
    propensity: float | None = None
    """Probability that the policy chooses it in this decision; None: a gate closed it."""
    priority: float | None = None
    """P x C x V x L, with the mean of P."""
    model: str | None = None
    """What P is from: name@version of the action's model, or prior."""
    signal_id: str | None = None
    """The signal that asked for it, where it is another one than the decision's."""
    usual: float | None = None
    """P of everyone, where ``p`` is that of this customer (of a contextual model); else None."""


class Decision(msgspec.Struct, gc=False):
    """One choice: what could have been done for a signal, what was, and why."""

    decision_id: str
    customer: str
    time: int
    outcome: str
    """issued; held_out (the customer is in a holdout: the choice is only noted, its trigger_id is in no other topic);
    held (decided anew when the gate opens); none."""
    reason: str
    """issued, holdout, warm_up, stale, session_over, too_large, or the gate that closed the best candidate."""
    signal_id: str
    """The first of those that asked for it; the id derives from it."""
    journey: str | None = None
    instance: str | None = None
    candidates: list[Candidate] = []
    chosen: str | None = None
    trigger_id: str | None = None
    channel: str | None = None
    draw: float | None = None
    """The uniform number in [0, 1) that chose; None: nothing was drawn."""
    definition: int = 0
    model: str | None = None
    """Of the chosen candidate."""
    experiment: str | None = None
    arm: str | None = None
    step: int = 0
    """Of a sequence, from 0."""
    value: float | None = None
    """V of the chosen candidate."""
    propensity: float | None = None
    """Probability with which the chosen candidate was chosen; 1 where nothing was drawn."""
    signals: list[str] = []
    """signal_id of all that were arbitrated together, where there are several."""
    held_until: int | None = None
    """held: when it is decided anew."""
    tries: int = 0
    """How often it had been held before."""
    features: dict[str, float] = {}
    """What was known of the customer, where some P was made of it; a missing value is absent."""


class OpenStage(msgspec.Struct, gc=False):
    journey: str
    instance: str
    stage: str
    entered_at: int


class OpenTrigger(msgspec.Struct, gc=False):
    trigger_id: str
    action: str
    channel: str
    expires_at: int
    outcome: str | None = None


class OpenContact(msgspec.Struct, gc=False):
    contact: str
    channel: str | None = None
    topic: str | None = None
    since: int = 0


class CustomerRisk(msgspec.Struct, gc=False):
    """The latest score of one risk."""

    risk: str
    band: str
    score: float
    """Probability, 0 to 1."""
    model: str
    scored_at: int


class Customer(msgspec.Struct, gc=False):
    """What others may know about a profile: written when anything of it but the last touchpoints changes."""

    customer: str
    time: int
    customer_id: str | None = None
    anonymous_id: str | None = None
    stages: list[OpenStage] = []
    segments: list[str] = []
    risk_band: str | None = None
    open_contacts: list[OpenContact] = []
    open_triggers: list[OpenTrigger] = []
    last_touchpoints: list[LastTouchpoint] = []
    risks: list[CustomerRisk] = []
    """As of the moment something else changed or a band was entered; ``risk_band`` is the band of the first."""
    expected_value: float | None = None


class Example(msgspec.Struct, gc=False):
    """What a score knew, and what came to pass: one matured label."""

    example_id: str
    customer: str
    risk: str
    """Name of the risk; of a contact's success ``action.<name>``."""
    signature: str
    """Of the risk's definition; examples of another one are not learned together."""
    scored_at: int
    matured_at: int
    """When the label became known: the touchpoint that decided it, or the end of the horizon."""
    label: bool
    """The risk came true."""
    features: dict[str, float] = {}
    """As of ``scored_at``, in the risk's order; a missing value is absent."""
    score: float = 0.0
    """As it was made at ``scored_at``."""
    model: str = "prior"
    """name@version, prior or rule."""
    historical: bool = False
    definition: int = 0
    outcomes: list[str] = []
    """action.<name>: what was heard of the contact until then, ``complained``, and ``crowded`` where the definition
    bounds it."""


class Model(msgspec.Struct, gc=False):
    """A snapshot of a model: plain numbers for a linear one, signed bytes for any other."""

    name: str
    """The risk, or ``action.<name>``."""
    version: int
    signature: str
    form: str
    """linear, river, beta or contextual."""
    algorithm: str
    """Name of the pipeline."""
    features: list[str] = []
    weights: list[float] = []
    """linear: for each feature, on the standardised value. river: empty."""
    means: list[float] = []
    """For each feature: what a missing value is taken for, and what a contribution is measured against."""
    scales: list[float] = []
    """Standard deviations; 0 where a feature has not varied."""
    intercept: float = 0.0
    slope: float = 1.0
    """Calibration: probability = sigmoid(slope * log-odds + shift)."""
    shift: float = 0.0
    body: bytes | None = None
    """river: the pipeline, as its parts."""
    mac: bytes | None = None
    """river: HMAC-SHA256 by the deployment's key over everything else."""
    software: str = ""
    """What wrote the body: versions of Python and River."""
    examples: int = 0
    """Labels learned from."""
    base_rate: float = 0.0
    learned_until: int = 0
    """Event time of the newest label learned from."""
    evaluation: dict[str, float] = {}
    definition: int = 0
    positives: float = 0.0
    """beta and contextual: contacts that were a success,"""
    negatives: float = 0.0
    """and those that were none."""
    paused: bool = False
    """beta and contextual: a guardrail of the action is broken."""
    precisions: list[float] = []
    """contextual: how well the intercept is known, then each weight: 1 by its variance."""
    context: str = ""
    """contextual: digest of what the features mean."""


class JournalLine(msgspec.Struct, gc=False):
    """Whatever moved state besides the log."""

    after_offset: int
    """It took effect after the touchpoint with this offset (-1: before the first)."""
    kind: str
    """start, idle, definition, model or stale."""
    value: dict[str, Any] = {}
    """start: {start_issuing_at, definition}; idle: {to}; definition: {number}; stale: {triggers};
    model: {risk, model} with model = name@version."""


class Counts(msgspec.Struct, gc=False):
    """What became of the touchpoints of one call (semantics, rule 26) and what else is worth a metric."""

    processed: int = 0
    late: int = 0
    """Among the processed: from before a deadline that has fired."""
    duplicate: int = 0
    conflicting: int = 0
    """Among the duplicates: the same id with other contents."""
    too_late: int = 0
    rejected: int = 0
    skew_corrected: int = 0
    skew_cut: int = 0
    unassigned: int = 0
    """Without the field that instance_by names, and no instance opened in time."""
    preset_fields_missing: int = 0
    evicted: int = 0
    shed: int = 0
    """Pieces of state dropped because a profile was too large."""
    scores: int = 0
    features_missing: int = 0
    """Values of own features, and scores by rule, that an error or a number that is not finite left out."""
    scores_unusable: int = 0
    """A model gave no probability; the prior was taken."""
    snapshots_full: int = 0
    """Scores that became no example, because 40 of the risk were waiting for their labels."""
    labels_censored: int = 0
    """Scores whose label will never be known: the profile, the risk or the log ended first."""
    contacts_censored: int = 0
    """Contacts whose success will never be known: they were given back, or their action, customer or log ended."""
    outcomes_matched: int = 0
    """Without trigger_id, and still told to one trigger."""
    outcomes_ambiguous: int = 0
    """Without trigger_id, and several triggers could be meant: told to none."""
    outcomes_unknown: int = 0
    """Of a trigger that is not this customer's, or has been forgotten."""
    outcomes_repeated: int = 0
    """Heard of that trigger before."""
    outcomes_early: int = 0
    """From before the trigger was issued."""
    held_full: int = 0
    """Decisions that were not held because too many were waiting."""


class Outputs(msgspec.Struct, gc=False):
    """Everything one call of the engine says, in order. It becomes one transaction."""

    signals: list[Signal] = []
    triggers: list[Trigger] = []
    traces: dict[int, list[tuple[str, bytes]]] = {}
    """Place in ``triggers`` -> trace context of the touchpoint in whose step it was said, where that had one. What a
    timer says has none: it must not tell which touchpoint made it fire."""
    decisions: list[Decision] = []
    customers: dict[str, Customer | None] = {}
    """Last view of each profile whose view changed; None is a tombstone."""
    rejections: list[Any] = []
    """``Rejection`` of touchpoints that must not be applied (misrouted); the shell adds the original bytes."""
    stale: list[str] = []
    """Trigger ids that were decided ``stale`` because ``now_ms`` was past their expiry; the shell journals them."""
    examples: list[Example] = []
    scores: list[tuple[str, float]] = []
    """(risk, probability) of every score that was made; no record of its own."""
    counts: Counts = msgspec.field(default_factory=Counts)
