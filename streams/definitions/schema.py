"""JSON Schema (draft 2020-12) of definition files, for completion and checks in editors.

Owns the shape and the explanations that an editor shows; the loader checks far more than a schema can say. Built from
the same lists of words as the loader.
"""

from __future__ import annotations

from typing import Any, Final

from streams.contracts.outputs import SEVERITIES, SIGNAL_KINDS
from streams.contracts.touchpoint import ACTORS
from streams.definitions.names import JOURNEY_TYPES, VISIBLE
from streams.definitions.pipelines import COUNTS, MAX_CHALLENGERS, MODELS, ModelKind, Number, OneOf, Option
from streams.definitions.presets import PRESET_NAMES
from streams.definitions.risks import MAX_BANDS, MAX_FEATURES, VALUE_DURATIONS, VALUE_NUMBERS
from streams.definitions.sections import TIME_KEYS

NAME: Final = "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"
DURATION: Final = r"^([0-9]{1,12}(\.[0-9]{1,6})?(ms|[smhdw]))+$"


def _map(description: str, keys: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "description": description, "properties": keys}
    if required:
        out["required"] = list(required)
    return {**out, "additionalProperties": False, **more}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, **more}


def _choice(description: str, values: Any) -> dict[str, Any]:
    return {"enum": list(values), "description": description}


def _number(description: str, lowest: float, highest: float) -> dict[str, Any]:
    return {"type": "number", "minimum": lowest, "maximum": highest, "description": description}


def _count(description: str, lowest: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, "description": description}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _cel(description: str) -> dict[str, Any]:
    return {"type": ["string", "boolean", "number"], "maxLength": 1024, "description": f"CEL: {description}"}


def _duration(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": DURATION, "description": f"{description}; units ms, s, m, h, d, w"}


def _some(item: dict[str, Any]) -> dict[str, Any]:
    """One of them or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}], "description": item["description"]}


def _named(description: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": NAME},
        "additionalProperties": item,
    }


_EVENTS: Final = {"$ref": "#/$defs/events"}
_SEVERITY: Final = _choice("how bad it is", SEVERITIES)


def _time() -> dict[str, Any]:
    words = {
        "allowed_lateness": "how far touchpoints may be out of order",
        "session_gap": "inactivity that ends a session",
        "session_cap": "longest session",
        "permitted_skew": "how far a touchpoint may lie ahead of its record",
        "too_late": "touchpoints older than this are dropped",
        "forget_after": "idle profiles are forgotten after this",
    }
    keys = {key: _duration(words[key]) for key in TIME_KEYS}
    return _map("how time is measured", {"timezone": _text("IANA zone where the customer's is unknown"), **keys})


def _stage() -> dict[str, Any]:
    keys = {
        "on": _EVENTS,
        "leave_when": _cel("when true, the customer falls back from this stage"),
        "critical": _flag("friction here is one severity higher"),
        "customer_wants": _text("what the customer wants to get done here"),
        "was": _text("former name of the stage"),
    }
    return _map("a stage of the journey; stages are in order", keys, ("on",))


def _deadline() -> dict[str, Any]:
    before = {"date": _cel("a date (ms or ISO 8601)"), "by": _duration("how long before the date")}
    keys = {
        "after": _duration("silence after which the customer has given up"),
        "from": _choice("from where `after` counts", ("last_touchpoint", "entry")),
        "before": _map("counts back from a date", before, ("date",)),
        "once_per": _choice("signal once until this changes", ("cart contents",)),
        "min_events": _count("fewer touchpoints end silently", 1),
        "severity": _SEVERITY,
    }
    either = [{"required": ["after"]}, {"required": ["before"]}]
    return _map("a deadline of a stage", keys, oneOf=either)


def _friction() -> dict[str, Any]:
    fields = _some(_text("touchpoint field or property"))
    within = _duration("length of the window")
    at_least = _count("how many are too many", 1)
    count = {"event": _EVENTS, "where": _cel("which of them"), "at_least": at_least, "within": within}
    rules = {
        "preset": _choice("a click preset", sorted(PRESET_NAMES)),
        "count": _map(
            "so many in a window", {**count, "same": fields, "different": fields}, ("event", "at_least", "within")
        ),
        "sequence": _map(
            "one after the other",
            {
                "of": {"type": "array", "minItems": 2, "maxItems": 10, "items": {"$ref": "#/$defs/event"}},
                "within": within,
                "across": _choice("over all of the customer's instances or in one", ("instance", "customer")),
            },
            ("of", "within"),
        ),
        "absence": _map(
            "what was awaited did not come",
            {"of": _EVENTS, "within": within, "after": _EVENTS},
            ("of", "within", "after"),
        ),
        "stalled": _map(
            "active, but no further",
            {
                "stage": _text("the stage"),
                "longer_than": _duration("time since the stage was entered"),
                "or_touchpoints": _count("touchpoints since the stage was entered", 1),
            },
            ("stage",),
            anyOf=[{"required": ["longer_than"]}, {"required": ["or_touchpoints"]}],
        ),
    }
    own = {
        "name": _text("what actions and metrics call it", pattern=NAME),
        "severity": _SEVERITY,
        "cool_down": _duration("it is silent so long after it has spoken"),
    }
    one = [{"required": [kind]} for kind in rules]
    return _map("a friction rule", {**own, **rules}, oneOf=one)


def _journey() -> dict[str, Any]:
    goal = {
        "event": _EVENTS,
        "where": _cel("which of them"),
        "target": _number("share of entrants that should reach it", 0, 1),
        "within": _duration("the journey expires so long after it opened"),
    }
    goal_map = _map("the event that completes the journey", goal, ("event",))
    keys = {
        "type": _choice("kind of journey", JOURNEY_TYPES),
        "owner": _text("who is responsible"),
        "instance_by": _text("touchpoint field or property that tells instances apart, for example case_id"),
        "goal": {"anyOf": [_text("an event name"), {"type": "array"}, goal_map]},
        "stages": _named("stages in order", _stage()),
        "abandonment": _named("deadlines by stage", _deadline()),
        "friction": {"type": "array", "items": _friction()},
    }
    return _map("a journey", keys, ("type", "goal", "stages"))


def _option(option: Option) -> dict[str, Any]:
    if isinstance(option, OneOf):
        return _choice(option.meaning, option.values)
    bounds = _number(option.meaning, option.lowest, option.highest)
    return bounds if isinstance(option, Number) else {**bounds, "type": "integer"}


def _pipeline(description: str) -> dict[str, Any]:
    def options(model: str, kind: ModelKind) -> dict[str, Any]:
        keys = {
            "model": {"const": model, "description": "River's name of the model"},
            "name": _text(f"what evaluations call it, {kind.called} by default", pattern=NAME),
            **{key: _option(option) for key, option in kind.options.items()},
        }
        return _map(f"{model} with options", keys, ("model",))

    return {
        "description": description,
        "anyOf": [_choice(description, MODELS), *(options(model, kind) for model, kind in MODELS.items())],
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
        **{key: {**_count(meaning, lowest), "maximum": highest} for key, (lowest, highest, meaning) in COUNTS.items()},
        "margin": _number("by how much AUC a challenger must lead to be promoted", 0, 0.5),
    }
    scored = {
        "active_within": _duration("scored is who had a touchpoint within that time"),
        "every": _duration("between two scores by the clock"),
        "spread": _flag("each customer at a time of their own; false: all at the same instants"),
        "on": _some(_when("signals after which a score is made at once")),
        "apart": _duration("no score of that kind sooner after the last"),
    }
    band = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "score from which on it is entered"}
    bands = {**_named("bands of the score, rising from 0", band), "minProperties": 2, "maxProperties": MAX_BANDS}
    probability = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    prior = "score while there is no model"
    keys = {
        "without": {**_EVENTS, "description": "it comes true if none of these happens within the horizon"},
        "with": {**_EVENTS, "description": "it comes true if one of these happens within the horizon"},
        "horizon": _duration("how far a score looks ahead"),
        "until": _cel("a date (ms or ISO 8601) at which the label is decided, if that is sooner"),
        "scored": _map("who is scored, and when", scored),
        "bands": bands,
        "hysteresis": _number("a lower band is entered so far below its upper bound", 0, 1),
        "prior": {"anyOf": [probability, {"type": "string", "maxLength": 1024}], "description": f"{prior}; CEL"},
        "features": {**_some(_text("feature, or standard for all the standard ones")), "maxItems": MAX_FEATURES},
        "learn": _map("how the model learns", learn),
    }
    return _map("a risk", keys, ("horizon",), oneOf=[{"required": ["without"]}, {"required": ["with"]}])


def _when(description: str) -> dict[str, Any]:
    when = {
        "signal": _choice("kind of signal", SIGNAL_KINDS),
        "journey": _some(_text("journey")),
        "name": _some(_text("name of the rule, stage, milestone, segment or risk")),
        "stage": _some(_text("stage")),
        "severity": _some(_SEVERITY),
        "band": _some(_text("band of a risk")),
    }
    return _map(description, when, ("signal",))


def _action() -> dict[str, Any]:
    content = {
        "key": _text("content in the downstream system"),
        "with": _named("parameters: a text is CEL, all else is literal", {}),
    }
    keys = {
        "purpose": _choice("marketing needs consent", ("service", "marketing")),
        "when": _some(_when("the signals that it answers")),
        "channel": _some(_text("the first that is reachable and consented")),
        "value": _cel("what it is worth"),
        "eligible": _cel("for whom it is meant"),
        "cancel_on": _EVENTS,
        "expires_after": {
            "anyOf": [_duration("how long it is valid"), {"const": "session_end"}],
            "description": "how long it is valid, or session_end",
        },
        "content": _map("what is said", content),
        "external": {"type": "object", "description": "passed on as it is, for example a campaign id"},
        "paused": _flag("true: it is not chosen, and what is open is cancelled"),
    }
    return _map("an action", keys, ("when", "channel", "expires_after"))


def json_schema() -> dict[str, Any]:
    """The whole schema."""
    event_info = {
        "actor": _choice("who does it", sorted(ACTORS)),
        "visible": _choice("whether the customer sees it", VISIBLE),
        "department": _text("who is responsible"),
        "system": _text("where it comes from"),
    }
    segment = {
        "where": _cel("who is in it"),
        "title": _text("what people call it"),
        "needs": _some(_text("what these customers need")),
    }
    channel = {
        "identifier": _text("trait that must be set, for example email"),
        "in_session": _flag("reachable only while a session is open"),
        "opt_in": _flag("marketing needs an explicit consent"),
    }
    satisfaction = {
        "fall": _number("how far the mean sentiment must fall", 0.01, 2),
        "words": {
            "type": "object",
            "description": "emotion word -> sentiment",
            "additionalProperties": _number("sentiment", -1, 1),
        },
    }
    milestone = {
        "name": _text("its name", pattern=NAME),
        "goal": _text("journey whose goals are counted"),
        "nth": _count("which of them", 1),
        "anniversary_of": _choice("what is a year ago", ("first_seen",)),
    }
    feature = {
        "value": _cel("a number"),
        "title": _text("what people read beside the number"),
        "unit": _text("unit of the number"),
    }
    value = {
        **{key: _number(meaning, lowest, highest) for key, (lowest, highest, meaning) in VALUE_NUMBERS.items()},
        **{key: _duration(meaning) for key, meaning in VALUE_DURATIONS.items()},
    }
    events = {
        "type": "object",
        "description": "a company's own event names, and what is known of events",
        "additionalProperties": {"anyOf": [_text("the standard name"), _map("an event", event_info)]},
    }
    keys = {
        "version": {"const": 1, "description": "version of this format"},
        "events": events,
        "time": _time(),
        "channels": _named("channels of your own, or changes of the known ones", _map("a channel", channel)),
        "segments": _named("groups of customers", _map("a segment", segment, ("where",))),
        "journeys": _named("journeys", _journey()),
        "satisfaction": _map("how emotion is read", satisfaction),
        "milestones": {"type": "array", "items": _map("a milestone", milestone, ("name",))},
        "features": _named("features of your own", _map("a feature", feature, ("value",))),
        "risks": _named("what may come true of a customer, scored and learned", _risk()),
        "expected_value": _map("priors of what a customer will spend", value),
        "actions": _named("what is done about signals", _action()),
    }
    event = {"anyOf": [_text("an event name"), {"$ref": "#/$defs/conditional_event"}]}
    conditional = _map(
        "an event and a condition", {"event": _text("an event name"), "where": _cel("which of them")}, ("event",)
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "journey definition",
        **_map("Journeys, what goes wrong in them, and what is done about it", keys, ("version",)),
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
