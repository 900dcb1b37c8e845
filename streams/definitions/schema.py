"""JSON Schema (draft 2020-12) of definition files, for completion and checks in editors.

Owns the shape and the explanations that an editor shows; the loader checks far more than a schema can say. Built from
the same lists of words as the loader.
"""

from __future__ import annotations

from typing import Any, Final

from streams.contracts.outputs import SEVERITIES, SIGNAL_KINDS
from streams.contracts.touchpoint import ACTORS
from streams.definitions.actions import CHANNEL_ORDERS
from streams.definitions.names import JOURNEY_TYPES, VISIBLE
from streams.definitions.pipelines import COUNTS, MAX_CHALLENGERS, MODELS, ModelKind, Number, OneOf, Option
from streams.definitions.presets import PRESET_NAMES
from streams.definitions.risks import MAX_BANDS, MAX_FEATURES, VALUE_DURATIONS, VALUE_NUMBERS
from streams.definitions.satisfaction import CSAT
from streams.definitions.schema_policy import CONTENT, arbitration, changes, channel, contact_policy, policy_of_action
from streams.definitions.schema_words import (
    NAME,
    cel,
    choice,
    count,
    duration,
    flag,
    mapping,
    named,
    number,
    some,
    text,
)
from streams.definitions.sections import TIME_KEYS

_EVENTS: Final = {"$ref": "#/$defs/events"}
_SEVERITY: Final = choice("how bad it is", SEVERITIES)


def _time() -> dict[str, Any]:
    words = {
        "allowed_lateness": "how far touchpoints may be out of order",
        "session_gap": "inactivity that ends a session",
        "session_cap": "longest session",
        "permitted_skew": "how far a touchpoint may lie ahead of its record",
        "too_late": "touchpoints older than this are dropped",
        "forget_after": "idle profiles are forgotten after this",
    }
    keys = {key: duration(words[key]) for key in TIME_KEYS}
    return mapping("how time is measured", {"timezone": text("IANA zone where the customer's is unknown"), **keys})


def _stage() -> dict[str, Any]:
    keys = {
        "on": _EVENTS,
        "leave_when": cel("when true, the customer falls back from this stage"),
        "critical": flag("friction here is one severity higher"),
        "customer_wants": text("what the customer wants to get done here"),
        "was": text("former name of the stage"),
    }
    return mapping("a stage of the journey; stages are in order", keys, ("on",))


def _deadline() -> dict[str, Any]:
    before = {"date": cel("a date (ms or ISO 8601)"), "by": duration("how long before the date")}
    keys = {
        "after": duration("silence after which the customer has given up"),
        "from": choice("from where `after` counts", ("last_touchpoint", "entry")),
        "before": mapping("counts back from a date", before, ("date",)),
        "once_per": choice("signal once until this changes", ("cart contents",)),
        "min_events": count("fewer touchpoints end silently", 1),
        "severity": _SEVERITY,
    }
    either = [{"required": ["after"]}, {"required": ["before"]}]
    return mapping("a deadline of a stage", keys, oneOf=either)


def _friction() -> dict[str, Any]:
    fields = some(text("touchpoint field or property"))
    within = duration("length of the window")
    at_least = count("how many are too many", 1)
    counted = {"event": _EVENTS, "where": cel("which of them"), "at_least": at_least, "within": within}
    rules = {
        "preset": choice("a click preset", sorted(PRESET_NAMES)),
        "count": mapping(
            "so many in a window", {**counted, "same": fields, "different": fields}, ("event", "at_least", "within")
        ),
        "sequence": mapping(
            "one after the other",
            {
                "of": {"type": "array", "minItems": 2, "maxItems": 10, "items": {"$ref": "#/$defs/event"}},
                "within": within,
                "across": choice("over all of the customer's instances or in one", ("instance", "customer")),
            },
            ("of", "within"),
        ),
        "absence": mapping(
            "what was awaited did not come",
            {"of": _EVENTS, "within": within, "after": _EVENTS},
            ("of", "within", "after"),
        ),
        "stalled": mapping(
            "active, but no further",
            {
                "stage": text("the stage"),
                "longer_than": duration("time since the stage was entered"),
                "or_touchpoints": count("touchpoints since the stage was entered", 1),
            },
            ("stage",),
            anyOf=[{"required": ["longer_than"]}, {"required": ["or_touchpoints"]}],
        ),
    }
    own = {
        "name": text("what actions and metrics call it", pattern=NAME),
        "severity": _SEVERITY,
        "cool_down": duration("it is silent so long after it has spoken"),
    }
    one = [{"required": [kind]} for kind in rules]
    return mapping("a friction rule", {**own, **rules}, oneOf=one)


def _journey() -> dict[str, Any]:
    goal = {
        "event": _EVENTS,
        "where": cel("which of them"),
        "target": number("share of entrants that should reach it", 0, 1),
        "within": duration("the journey expires so long after it opened"),
    }
    goal_map = mapping("the event that completes the journey", goal, ("event",))
    keys = {
        "type": choice("kind of journey", JOURNEY_TYPES),
        "owner": text("who is responsible"),
        "instance_by": text("touchpoint field or property that tells instances apart, for example case_id"),
        "goal": {"anyOf": [text("an event name"), {"type": "array"}, goal_map]},
        "stages": named("stages in order", _stage()),
        "abandonment": named("deadlines by stage", _deadline()),
        "friction": {"type": "array", "items": _friction()},
    }
    return mapping("a journey", keys, ("type", "goal", "stages"))


def _option(option: Option) -> dict[str, Any]:
    if isinstance(option, OneOf):
        return choice(option.meaning, option.values)
    bounds = number(option.meaning, option.lowest, option.highest)
    return bounds if isinstance(option, Number) else {**bounds, "type": "integer"}


def _pipeline(description: str) -> dict[str, Any]:
    def options(model: str, kind: ModelKind) -> dict[str, Any]:
        keys = {
            "model": {"const": model, "description": "River's name of the model"},
            "name": text(f"what evaluations call it, {kind.called} by default", pattern=NAME),
            **{key: _option(option) for key, option in kind.options.items()},
        }
        return mapping(f"{model} with options", keys, ("model",))

    return {
        "description": description,
        "anyOf": [choice(description, MODELS), *(options(model, kind) for model, kind in MODELS.items())],
    }


def _risk() -> dict[str, Any]:
    learn = {
        "champion": _pipeline("the pipeline that scores at first"),
        "challengers": {
            "type": "array",
            "maxItems": MAX_CHALLENGERS,
            "items": _pipeline("a pipeline that may become the champion"),
            "description": "pipelines that learn the same labels",
        },
        **{key: {**count(meaning, lowest), "maximum": highest} for key, (lowest, highest, meaning) in COUNTS.items()},
        "margin": number("by how much AUC a challenger must lead to be promoted", 0, 0.5),
    }
    scored = {
        "active_within": duration("scored is who had a touchpoint within that time"),
        "every": duration("between two scores by the clock"),
        "spread": flag("each customer at a time of their own; false: all at the same instants"),
        "on": some(_when("signals after which a score is made at once")),
        "apart": duration("no score of that kind sooner after the last"),
    }
    band = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "score from which on it is entered"}
    bands = {**named("bands of the score, rising from 0", band), "minProperties": 2, "maxProperties": MAX_BANDS}
    probability = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    prior = "score while there is no model"
    keys = {
        "without": {**_EVENTS, "description": "it comes true if none of these happens within the horizon"},
        "with": {**_EVENTS, "description": "it comes true if one of these happens within the horizon"},
        "horizon": duration("how far a score looks ahead"),
        "until": cel("a date (ms or ISO 8601) at which the label is decided, if that is sooner"),
        "scored": mapping("who is scored, and when", scored),
        "bands": bands,
        "hysteresis": number("a lower band is entered so far below its upper bound", 0, 1),
        "prior": {"anyOf": [probability, {"type": "string", "maxLength": 1024}], "description": f"{prior}; CEL"},
        "features": {**some(text("feature, or standard for all the standard ones")), "maxItems": MAX_FEATURES},
        "learn": mapping("how the model learns", learn),
    }
    return mapping("a risk", keys, ("horizon",), oneOf=[{"required": ["without"]}, {"required": ["with"]}])


def _when(description: str) -> dict[str, Any]:
    when = {
        "signal": choice("kind of signal", SIGNAL_KINDS),
        "journey": some(text("journey")),
        "name": some(text("name of the rule, stage, milestone, segment or risk")),
        "stage": some(text("stage")),
        "severity": some(_SEVERITY),
        "band": some(text("band of a risk")),
    }
    return mapping(description, when, ("signal",))


def _action() -> dict[str, Any]:
    keys = {
        "purpose": choice("marketing needs consent", ("service", "marketing")),
        "when": some(_when("the signals that it answers")),
        "channel": some(text("the first that is reachable and consented")),
        "channel_order": choice("whose order: as stated, or first where this customer answers", CHANNEL_ORDERS),
        "value": cel("what it is worth"),
        "eligible": cel("for whom it is meant"),
        "cancel_on": _EVENTS,
        "expires_after": {
            "anyOf": [duration("how long it is valid"), {"const": "session_end"}],
            "description": "how long it is valid, or session_end",
        },
        "content": CONTENT,
        "external": {"type": "object", "description": "passed on as it is, for example a campaign id"},
        "paused": flag("true: it is not chosen, and what is open is cancelled"),
        **policy_of_action(),
    }
    return mapping("an action", keys, ("when", "channel", "expires_after"))


def json_schema() -> dict[str, Any]:
    """The whole schema."""
    event_info = {
        "actor": choice("who does it", sorted(ACTORS)),
        "visible": choice("whether the customer sees it", VISIBLE),
        "department": text("who is responsible"),
        "system": text("where it comes from"),
    }
    segment = {
        "where": cel("who is in it"),
        "title": text("what people call it"),
        "needs": some(text("what these customers need")),
    }
    satisfaction = {
        "csat": choice("CSAT of answers 1 to 5: share of 4 and 5, or their mean", CSAT),
        "fall": number("how far the mean sentiment must fall", 0.01, 2),
        "words": {
            "type": "object",
            "description": "emotion word -> sentiment",
            "additionalProperties": number("sentiment", -1, 1),
        },
    }
    milestone = {
        "name": text("its name", pattern=NAME),
        "goal": text("journey whose goals are counted"),
        "nth": count("which of them", 1),
        "anniversary_of": choice("what is a year ago", ("first_seen",)),
    }
    feature = {
        "value": cel("a number"),
        "title": text("what people read beside the number"),
        "unit": text("unit of the number"),
    }
    value = {
        **{key: number(meaning, lowest, highest) for key, (lowest, highest, meaning) in VALUE_NUMBERS.items()},
        **{key: duration(meaning) for key, meaning in VALUE_DURATIONS.items()},
    }
    events = {
        "type": "object",
        "description": "a company's own event names, and what is known of events",
        "additionalProperties": {"anyOf": [text("the standard name"), mapping("an event", event_info)]},
    }
    keys = {
        "version": {"const": 1, "description": "version of this format"},
        "events": events,
        "time": _time(),
        "channels": named("channels of your own, or changes of the known ones", channel()),
        "segments": named("groups of customers", mapping("a segment", segment, ("where",))),
        "journeys": named("journeys", _journey()),
        "satisfaction": mapping("how emotion is read", satisfaction),
        "milestones": {"type": "array", "items": mapping("a milestone", milestone, ("name",))},
        "features": named("features of your own", mapping("a feature", feature, ("value",))),
        "risks": named("what may come true of a customer, scored and learned", _risk()),
        "expected_value": mapping("priors of what a customer will spend", value),
        "actions": named("what is done about signals", _action()),
        "paused": some(text("action that is paused, whatever its own file says")),
        "contact_policy": contact_policy(_when("after such a signal")),
        "arbitration": arbitration(),
        "changes": changes(),
    }
    event = {"anyOf": [text("an event name"), {"$ref": "#/$defs/conditional_event"}]}
    conditional = mapping(
        "an event and a condition", {"event": text("an event name"), "where": cel("which of them")}, ("event",)
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "journey definition",
        **mapping("Journeys, what goes wrong in them, and what is done about it", keys, ("version",)),
        "$defs": {
            "event": event,
            "conditional_event": conditional,
            "events": {
                "description": "an event or a list of events",
                "anyOf": [
                    {"$ref": "#/$defs/event"},
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/event"}},
                ],
            },
        },
    }
