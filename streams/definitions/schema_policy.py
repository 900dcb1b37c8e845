"""JSON Schema of how actions are chosen: contact policy, arbitration, experiments, steps, bounds, channels, changes.

Owns these parts; the rest of a definition is in ``schema.py``.
"""

from __future__ import annotations

from typing import Any, Final

from streams.contracts.touchpoint import OUTCOMES
from streams.definitions.arbitration import HIGHEST_PRIOR, HIGHEST_WEIGHT, LEAST_PRIOR
from streams.definitions.contact import CALENDAR, MAX_AT_MOST, REFUSALS
from streams.definitions.experiments import (
    LEAST_WINDOW,
    MAX_ARMS,
    MAX_STEPS,
    MOST_CONTACTS,
    MOST_WINDOW,
    NO_END,
    RATES,
)
from streams.definitions.policy import PURPOSES
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

HIGHEST: Final = 1e9
_CLOCK: Final = r"^[0-9]{1,2}:[0-9]{2}$"
_PURPOSE: Final = some(choice("service, marketing or both", PURPOSES))
CONTENT: Final = mapping(
    "what is said",
    {
        "key": text("content in the downstream system"),
        "with": named("parameters: a text is CEL, all else is literal", {}),
    },
)


def _share(description: str) -> dict[str, Any]:
    return number(f"{description}; 0 to 1, four decimals at most", 0, 1)


def _above(description: str, highest: float) -> dict[str, Any]:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": highest, "description": description}


def channel() -> dict[str, Any]:
    """A map, or the text form."""
    keys = {
        "identifier": text("trait that must be set, for example email"),
        "in_session": flag("reachable only while a session is open"),
        "opt_in": flag("marketing needs an explicit consent"),
        "open": some(text("when somebody is there, for example Mon-Fri 09:00-17:00, Sat 10:00-14:00")),
        "timezone": text("IANA zone of the opening hours; time.timezone by default"),
        "at_most": count("contacts that it carries over all customers in the time of `per`", 1),
        "per": duration("see at_most"),
    }
    beside = {"at_most": ["per"], "per": ["at_most"], "timezone": ["open"]}
    return {
        "description": "a channel",
        "anyOf": [
            text("its hours and capacity, for example open Mon-Fri 09:00-17:00, at most 60 an hour"),
            mapping("a channel", keys, dependentRequired=beside),
        ],
    }


def _holdout(description: str) -> dict[str, Any]:
    keys = {
        "purpose": _PURPOSE,
        "share": {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": 1,
            "description": "share of the customers who are held out",
        },
        "salt": text("who is held out stays the same as long as this does"),
    }
    return mapping(description, keys, ("share",))


def contact_policy(selection: dict[str, Any]) -> dict[str, Any]:
    """``selection`` is the schema of a signal that is selected."""
    quiet = {
        "channels": some(text("channel; without it all that are not bound to a session")),
        "from": text('local time, for example "21:00"', pattern=_CLOCK),
        "to": text('local time, for example "08:00"', pattern=_CLOCK),
        "days": some(text("days on which they begin: Mon-Fri, Sat")),
        "then": choice("what happens to a message that falls into them", ("hold", "drop")),
        "purpose": _PURPOSE,
    }
    per = [choice("calendar days in the customer's time zone", CALENDAR), duration("rolling window")]
    limit = {
        "channel": text("channel; without it over all of them"),
        "action": text("action; without it over all of them"),
        "at_most": {**count("so many contacts", 0), "maximum": MAX_AT_MOST},
        "per": {"anyOf": per, "description": "day, week or a duration"},
        "purpose": _PURPOSE,
    }
    pause = {
        **selection,
        "properties": {**selection["properties"], "for": duration("for so long after the signal")},
        "required": ["signal", "for"],
    }
    suppression = {
        "after": count("so many refusals of one action", 1),
        "within": duration("in this time"),
        "for": duration("keep it from the customer for so long"),
        "refusals": some(choice("outcome that is a refusal", REFUSALS)),
    }
    keys = {
        "quiet_hours": some(mapping("no message at these local times", quiet, ("from", "to"))),
        "limits": {
            "type": "array",
            "items": mapping("at most so many contacts", limit, ("at_most", "per")),
            "description": "at most so many contacts of a customer",
        },
        "holdout": _holdout("customers who get no marketing, to measure what it does"),
        "pause_marketing_while": {
            **some({"anyOf": [{"const": "open_contact"}, pause], "description": "no marketing while this holds"}),
        },
        "suppression": mapping("an action that is refused rests", suppression, ("after", "within", "for")),
        "unsent_for": duration("what is cancelled later than this, and not heard of, is taken for sent"),
    }
    return mapping("what customers are promised about contact", keys)


def arbitration() -> dict[str, Any]:
    prior = {key: number(f"{key} of a new action", LEAST_PRIOR, HIGHEST_PRIOR) for key in ("positives", "negatives")}
    keys = {
        "sampling": choice("whether propensities are drawn or taken as they are", ("thompson", "greedy")),
        "explore": _share("probability that a candidate is drawn evenly instead"),
        "weights": {
            "type": "object",
            "additionalProperties": _above("lever of a purpose or a journey", HIGHEST_WEIGHT),
            "description": "purpose or journey -> lever",
        },
        "prior": mapping("what a new action is taken to have done", prior, ("positives", "negatives")),
    }
    return mapping("how candidates are weighed", keys)


def changes() -> dict[str, Any]:
    keys = {
        "at": text("date, for example 2026-03-01"),
        "title": text("what was changed"),
        "journey": text("the journey that it concerns"),
    }
    return {
        "type": "array",
        "items": mapping("something that was changed on a date", keys, ("at", "title")),
        "description": "what the company changed, marked in reports",
    }


def policy_of_action() -> dict[str, Any]:
    """The keys of an action that bear on how it is chosen, tried out and bounded."""
    arm = {
        "share": _above("share of the customers", 1),
        "content": CONTENT,
        "after": duration("not before so long after the signal"),
    }
    arms = named("arms", {"anyOf": [_above("share of the customers", 1), mapping("an arm", arm, ("share",))]})
    experiment = {
        "name": text("the action's by default", pattern=NAME),
        "salt": text("customers keep their arm as long as this is the same"),
        "arms": {**arms, "minProperties": 2, "maxProperties": MAX_ARMS},
    }
    outcome = choice("outcome of an earlier step that makes this one needless", sorted(OUTCOMES - NO_END))
    unless = {"anyOf": [outcome, {"type": "array", "items": outcome}], "description": outcome["description"]}
    step = {
        "after": duration("after the step before it"),
        "channel": some(text("the first that is reachable and consented")),
        "unless": unless,
        "content": CONTENT,
    }
    budget = {
        "amount": number("in the unit of cost", 0, 1e12),
        "per": choice("calendar period (UTC)", ("day", "week", "month")),
    }
    rate = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
    guardrails = {
        **{key: {**rate, "description": meaning} for key, meaning in RATES.items()},
        "window": {**count("last decisions over which rates are taken", LEAST_WINDOW), "maximum": MOST_WINDOW},
        "contacts": {**count("messages that are not too many yet, for crowded", 1), "maximum": MOST_CONTACTS},
        "pause": flag("true: the action is paused when a bound is broken"),
    }
    return {
        "cost": number("of one contact, in the unit of value", 0, HIGHEST),
        "applicable": cel("whether the customer's situation allows it"),
        "suitable": cel("whether it is right for this customer now"),
        "weight": cel("how much it matters in this context; above 0"),
        "lever": _above("the business's own thumb on the scale", 1e6),
        "rollout": _share("share of the customers who may get it"),
        "holdout": _holdout("customers who do not get this action, to measure what it does"),
        "experiment": mapping("variants that are compared", experiment, ("arms",)),
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "items": mapping("a later step", step, ("after", "channel")),
            "description": "further steps, each decided anew when its time has come",
        },
        "budget": mapping("what it may cost", budget, ("amount", "per")),
        "attribution": duration("a goal so soon after it counts as its success"),
        "guardrails": mapping("bounds on what it does to customers", guardrails),
    }
