"""Snapshots of models: how a pipeline becomes a record of the models topic, and a record a scorer.

Owns the signature (HMAC-SHA256 over all other fields) and the order of the checks: the signature before anything in the
body is looked at.
"""

from __future__ import annotations

import hmac
import platform
from collections.abc import Sequence
from hashlib import sha256
from math import isfinite, isnan
from typing import Any, Final

import msgspec
import river

from streams.contracts.outputs import Model
from streams.contracts.topics import MODEL_MAX_BYTES
from streams.engine.scoring.scorer import LinearScorer, ModelRefused, Scorer, probability
from streams.learner import frozen, pipelines

BODY_MAX_BYTES: Final = MODEL_MAX_BYTES - 256 * 1024
"""The rest of the record and what Kafka adds fit beside it."""
SHORTEST_KEY: Final = 16
"""Bytes of a key worth the name."""
DOUBLES: Final = frozenset({"intercept", "slope", "shift", "base_rate"})

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def software() -> str:
    """What writes the body, for a person to read."""
    return f"python {platform.python_version()}, river {river.__version__}"


def checked(key: bytes) -> bytes:
    """The key, if it is long enough. Raises ``ValueError``."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"the learner's key has {len(key)} bytes; it needs at least {SHORTEST_KEY}")
    return key


def mac(model: Model, key: bytes) -> bytes:
    """HMAC-SHA256 over every field but ``mac`` itself. Numbers count by value: an integer is signed as the double that
    the contract makes of it."""
    fields = {name: _plain(name, getattr(model, name)) for name in Model.__struct_fields__ if name != "mac"}
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
    if model.form != "river":
        raise ModelRefused("newer", f"{name} has the form {model.form!r}, which this version does not know")
    if key is None or model.mac is None:
        raise ModelRefused("unsigned", f"{name} can be loaded only with the key that signed it")
    if model.body is None or len(model.body) > BODY_MAX_BYTES:
        raise ModelRefused("malformed", f"{name} has no body, or one beyond {BODY_MAX_BYTES} bytes")
    try:
        pipeline = frozen.thaw(model.body)
    except frozen.Unreadable as error:
        raise ModelRefused(error.reason, f"{name}: {error}") from error
    return RiverScorer(model, pipeline)


class RiverScorer:
    """Any River classifier. A contribution is what is lost when the feature takes its mean (occlusion)."""

    __slots__ = ("_features", "_pipeline", "_shift", "_slope", "_sure", "key", "means", "risk", "signature")

    def __init__(self, model: Model, pipeline: Any) -> None:
        """Raises ``ModelRefused`` for numbers that make no model."""
        name = f"model {model.name}@{model.version}"
        numbers = (*model.means, model.slope, model.shift)
        if len(model.means) != len(model.features) or not all(map(isfinite, numbers)):
            raise ModelRefused("malformed", f"{name} has {len(model.features)} features and {len(model.means)} means")
        self.key = f"{model.name}@{model.version}"
        self.risk = model.name
        self.signature = model.signature
        self.means: Sequence[float] = list(model.means)
        self._features = list(model.features)
        self._pipeline = pipeline
        self._slope = model.slope
        self._shift = model.shift
        self._sure = pipelines.sure(pipeline)
        try:
            self._odds(dict(zip(self._features, self.means, strict=True)))
        except Exception as error:  # whatever it is, it does not score
            raise ModelRefused("malformed", f"{name} does not score: {type(error).__name__}: {error}") from error

    def score(self, values: Sequence[float]) -> float:
        return probability(self._odds(self._filled(values)))

    def contributions(self, values: Sequence[float]) -> list[float]:
        x = self._filled(values)
        odds = self._odds(x)
        found = []
        for name, mean in zip(self._features, self.means, strict=True):
            value = x[name]
            x[name] = mean
            found.append(odds - self._odds(x))
            x[name] = value
        return found

    def _odds(self, x: dict[str, float]) -> float:
        return self._slope * pipelines.log_odds(self._pipeline, x, self._sure) + self._shift

    def _filled(self, values: Sequence[float]) -> dict[str, float]:
        return {
            name: mean if isnan(value) else value
            for name, value, mean in zip(self._features, values, self.means, strict=True)
        }
