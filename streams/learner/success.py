"""The learner of one action: contacts that were a success and those that were none, by features, and its guardrails.

Owns when a count becomes a snapshot; whether features say more than the count is ``contextual.py``'s, and when a
guardrail is broken ``guarding.py``'s. A label counts when its attribution is over, not sooner: successes are known
before failures (``cohorts.py``). Guardrails look at contacts as they are told; those that succeed are told first, so
what breaks one is no haste. Deterministic, as ``learner.py`` is: the same labels in the same order give the same
snapshots, also when it was stored and read back anywhere between two of them.
"""

from __future__ import annotations

import hmac
from array import array
from collections import deque
from hashlib import blake2b, sha256
from math import nan
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Action, Definition
from streams.definitions.policy import Guardrails
from streams.engine.decisions.plan import MODEL_PREFIX, context_of, signature
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import frozen, guarding, snapshots
from streams.learner.cohorts import Cohorts, Label
from streams.learner.contextual import Contextual
from streams.learner.learner import PATIENCE
from streams.learner.quality import Quality

AT_LEAST: Final = 20
"""Labels before the first snapshot."""
PUBLISH_EVERY: Final = 20
"""Labels between two, or a twentieth of all if that is more: a posterior that hardly moves is not told anew."""
REMEMBERED: Final = 5_000
"""Ids of the newest examples, so that one that comes twice is counted once."""
MAC_BYTES: Final = 32
NO_FEATURES: Final = b"\0"
"""What a label has where the definition has no risk, and so keeps no features."""


class SuccessLearner:
    """What ``Learner`` is for a risk: ``learn`` takes labels in the order of their topic."""

    def __init__(self, action: Action, definition: Definition, key: bytes, *, version: int = 0) -> None:
        """``key`` signs snapshots and state. Raises ``ValueError`` for one that is too short."""
        self.name = MODEL_PREFIX + action.name
        self.signature = signature(action, definition)
        self.guardrails = action.guardrails
        self.attribution_ms = action.attribution_ms
        self.definition = definition.number
        self.version = version
        self.counts = {"learned": 0, "repeated": 0, "foreign": 0, "left_out": 0, "imputed": 0}
        self.positives = 0
        self.learned_until = 0
        self.paused = False
        self._key = snapshots.checked(key)
        self._seen: dict[int, None] = {}
        self._next_model = AT_LEAST
        self._cohorts = Cohorts()
        self._context = _context(definition)
        self._window: deque[int] = deque(maxlen=_window(action.guardrails))
        """Of the newest contacts, what was heard as ``guarding.bits``."""

    def learn(self, example: Example) -> list[Model]:
        """Take one label, and publish what is due."""
        if example.risk != self.name or example.signature != self.signature:
            self.counts["foreign"] += 1
            return []
        seen = int.from_bytes(blake2b(example.example_id.encode(), digest_size=7).digest())
        if seen in self._seen:
            self.counts["repeated"] += 1
            return []
        if len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[seen] = None
        self.learned_until = max(self.learned_until, example.matured_at)
        customer = self._cohorts.hash_of(example.customer)
        if customer is None:
            self.counts["left_out"] += 1
        else:
            due = example.scored_at + self.attribution_ms
            context = self._context
            values = NO_FEATURES if context is None else context.packed(example.features, example.definition)
            self._cohorts.wait(Label(due, seen, customer, example.label, nan, values))
        self._window.append(guarding.bits(example.outcomes))
        broken = bool(self.broken())
        turned, self.paused = broken and not self.paused, broken or self.paused
        models = [self._publish()] if turned else []
        for label in self._cohorts.complete(self.learned_until - 1 - self.attribution_ms // PATIENCE):
            turned = self._look(label)
            self.counts["learned"] += 1
            self.positives += label.came_true
            if turned or self.counts["learned"] >= self._next_model:
                models.append(self._publish())
        return models

    def _look(self, label: Label) -> bool:
        """What the counts and the features would have said, before either learns of the contact."""
        if self._context is None:
            return False
        said = (0.5 + self.positives) / (1.0 + self.counts["learned"])
        return self._context.learn(label, label.due - self.attribution_ms, said, self.attribution_ms)

    def _publish(self) -> Model:
        n = self.counts["learned"]
        self._next_model = max(AT_LEAST, n + max(PUBLISH_EVERY, n // 20))
        self.version += 1
        return snapshots.signed(self._snapshot(), self._key)

    def broken(self) -> list[str]:
        """Guardrails whose rate is above its bound by more than chance."""
        return guarding.broken(self.guardrails, self._window)

    def _snapshot(self) -> Model:
        n = self.counts["learned"]
        context = self._context
        model = Model(
            name=self.name,
            version=self.version,
            signature=self.signature,
            form="beta",
            algorithm="beta",
            software=snapshots.software(),
            examples=n,
            base_rate=self.positives / n if n else 0.0,
            learned_until=self.learned_until,
            definition=self.definition,
            positives=float(self.positives),
            negatives=float(n - self.positives),
            paused=self.paused,
            evaluation={f"guardrail_{name}": 1.0 for name in self.broken()},
        )
        if context is not None:
            model.evaluation |= context.figures()
            if context.in_force:
                context.write(model)
        return model

    def qualities(self) -> dict[str, Quality]:
        """None: the counts say one probability for everyone, and a contextual model that is no better than they are is
        nothing to be alarmed by. Its figures are those of its snapshots."""
        return {}

    @property
    def drifts(self) -> dict[str, int]:
        return {}

    def adopt(self, action: Action, definition: Definition) -> SuccessLearner:
        """The learner under another definition: with another meaning of success it begins anew but the versions.

        Other guardrails begin to watch anew.
        """
        if signature(action, definition) != self.signature:
            return SuccessLearner(action, definition, self._key, version=self.version)
        if action.guardrails != self.guardrails:
            self.guardrails = action.guardrails
            self._window = deque(maxlen=_window(action.guardrails))
            self.paused = False
        self._fit(_context(definition))
        self.definition = definition.number
        return self

    def _fit(self, context: Contextual | None) -> None:
        """Features that meant something else teach nothing: what was learned of them, and what waits, is let go."""
        held = self._context
        if (held.meaning if held is not None else "") == (context.meaning if context is not None else ""):
            return
        self._context = context
        self._cohorts.revalue(NO_FEATURES if context is None else context.columns.packed({}))

    def dump(self) -> bytes:
        """Everything that later snapshots depend on, signed."""
        context = self._context
        held = {} if context is None else {"context": frozen.freeze(context.state())}
        data = _encode(
            {
                **held,
                "name": self.name,
                "signature": self.signature,
                "version": self.version,
                "counts": self.counts,
                "positives": self.positives,
                "learned_until": self.learned_until,
                "paused": self.paused,
                "seen": array("Q", self._seen).tobytes(),
                "next_model": self._next_model,
                "window": bytes(self._window),
                "cohorts": self._cohorts.state(),
            }
        )
        return self._sign(data) + data

    @classmethod
    def load(cls, action: Action, definition: Definition, data: bytes, key: bytes) -> SuccessLearner:
        """What ``dump`` stored, under the same definition.

        Raises ``ModelRefused`` (tampered, malformed, signature) for bytes that are not its state.
        """
        learner = cls(action, definition, key)
        body = data[MAC_BYTES:]
        if not hmac.compare_digest(learner._sign(body), data[:MAC_BYTES]):
            raise ModelRefused("tampered", f"the state of {learner.name} was changed, or signed with another key")
        try:
            state: dict[str, Any] = msgspec.msgpack.decode(body)
        except msgspec.MsgspecError as error:
            raise ModelRefused("malformed", f"the state of {learner.name}: {error}") from error
        if (state["name"], state["signature"]) != (learner.name, learner.signature):
            raise ModelRefused("signature", f"the state of {learner.name} is that of another definition")
        learner.version = state["version"]
        learner.counts |= state["counts"]
        learner.positives = state["positives"]
        learner.learned_until = state["learned_until"]
        learner.paused = state["paused"]
        learner._seen = dict.fromkeys(array("Q", state["seen"]))
        learner._next_model = state["next_model"]
        learner._window.extend(state["window"])
        learner._cohorts = Cohorts.of_state(state["cohorts"])
        anew, learner._context = learner._context, None
        if "context" in state:
            try:
                learner._context = Contextual.of_state(frozen.thaw(state["context"]))
            except frozen.Unreadable as error:
                raise ModelRefused(error.reason, f"the state of {learner.name}: {error}") from error
        learner._fit(anew)  # stored before there were contextual models: it begins now
        return learner

    def _sign(self, data: bytes) -> bytes:
        return hmac.digest(self._key, b"journey action 1\0" + data, sha256)


_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def _context(definition: Definition) -> Contextual | None:
    names, meaning = context_of(definition)
    return Contextual(names, meaning, definition.number) if names else None


def _window(rules: Guardrails | None) -> int:
    return rules.window if rules is not None else 1
