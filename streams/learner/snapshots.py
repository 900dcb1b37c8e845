"""Snapshots of models: how a pipeline becomes a record of the models topic, and a record a scorer.

Owns the signature (HMAC-SHA256 over all other fields) and the order of the checks: the signature before anything in the
body is looked at. Nothing here imports River.
"""

from __future__ import annotations

import hmac
import platform
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Model
from streams.contracts.topics import MODEL_MAX_BYTES
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.context import Context
from streams.engine.scoring.scorer import LinearScorer, ModelRefused, Scorer

BODY_MAX_BYTES: Final = MODEL_MAX_BYTES - 256 * 1024
"""The rest of the record and what Kafka adds fit beside it."""
SHORTEST_KEY: Final = 16
"""Bytes of a key worth the name."""
DOUBLES: Final = frozenset({"intercept", "slope", "shift", "base_rate", "positives", "negatives"})
LATER: Final[dict[str, object]] = {
    "positives": 0.0,
    "negatives": 0.0,
    "paused": False,
    "precisions": [],
    "context": "",
}
"""Fields that the contract was given later, with their defaults."""

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def software() -> str:
    """What writes the body, for a person to read."""
    return f"python {platform.python_version()}, river {version('river')}"


def checked(key: bytes) -> bytes:
    """The key, if it is long enough. Raises ``ValueError``."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"the learner's key has {len(key)} bytes; it needs at least {SHORTEST_KEY}")
    return key


def mac(model: Model, key: bytes) -> bytes:
    """HMAC-SHA256 over every field but ``mac`` itself. Numbers count by value: an integer is signed as the double that
    the contract makes of it."""
    fields = {name: _plain(name, getattr(model, name)) for name in Model.__struct_fields__ if name != "mac"}
    for name, default in LATER.items():
        if fields[name] == default:  # as it was signed before there was such a field
            del fields[name]
    return hmac.digest(checked(key), b"journey model 1\0" + _encode(fields), sha256)


def _plain(name: str, value: Any) -> Any:
    if name in DOUBLES:
        return float(value)
    if isinstance(value, dict):
        return {name: float(number) for name, number in value.items()}
    if isinstance(value, list):
        return [item if isinstance(item, str) else float(item) for item in value]
    return value


def signed(model: Model, key: bytes) -> Model:
    """The same model with its signature."""
    model.mac = mac(model, key)
    return model


def scorer_of(model: Model, key: bytes | None) -> Scorer:
    """What scores with a snapshot. Raises ``ModelRefused``, whose reason is one of:

    - tampered: the signature is not that of ``key`` over the fields;
    - unsigned: it has none though there is a key, or it has a body and there is no key to check it with;
    - newer: written by a version that this one does not know;
    - foreign: its body names something that is not a part of a model;
    - malformed: cut off, too large, or numbers that make no model.
    """
    name = f"model {model.name}@{model.version}"
    if key is not None:
        if model.mac is None:
            raise ModelRefused("unsigned", f"{name} is not signed, and this deployment has a key")
        if not hmac.compare_digest(mac(model, key), model.mac):
            raise ModelRefused("tampered", f"{name} is not what was signed, or was signed with another key")
    if model.form == "linear":
        return LinearScorer(model)
    if model.form in ("beta", "contextual"):
        if not (0.0 <= model.positives < 1e12 and 0.0 <= model.negatives < 1e12):
            raise ModelRefused("malformed", f"{name} counts {model.positives} successes and {model.negatives} failures")
        return ActionModel(
            f"{model.name}@{model.version}", model.name, model.signature, model.positives, model.negatives,
            model.paused, context=Context(model) if model.form == "contextual" else None,
        )  # fmt: skip
    if model.form != "river":
        raise ModelRefused("newer", f"{name} has the form {model.form!r}, which this version does not know")
    if key is None or model.mac is None:
        raise ModelRefused("unsigned", f"{name} can be loaded only with the key that signed it")
    if model.body is None or len(model.body) > BODY_MAX_BYTES:
        raise ModelRefused("malformed", f"{name} has no body, or one beyond {BODY_MAX_BYTES} bytes")
    # River takes a second and some 90 MB: a worker whose models are all linear never imports it.
    from streams.learner.river_scorer import scorer_of_body  # noqa: PLC0415

    return scorer_of_body(model, model.body)
