"""The models of a running deployment, by the names that its journal gives them.

Owns reading them from the models topic, once, when the first is asked for, and verifying each as a worker would.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.contracts.output_codec import OutputReader
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.engine.scoring.scorer import ModelRefused, Scorer
from streams.settings import Settings
from streams.tools.replay import log
from streams.worker.model_catalogue import make_scorer, read_model

ModelSource = Callable[[str], Scorer]
"""name@version -> what scored. Raises ``ModelAbsent``."""


class ModelAbsent(ValueError):  # noqa: N818 - an answer about data
    """A model that the journal names is not there or must not be used; says why."""


def published_models(settings: Settings, topics: Topics, schemas: SchemaSource) -> ModelSource:
    """As far as the topic holds them now."""
    records: dict[bytes, bytes] = {}
    scorers: dict[str, Scorer] = {}
    reader = OutputReader(schemas)
    key = settings.learner.key

    def scorer(name: str) -> Scorer:
        if name not in scorers:
            if not records:
                for record in log.read(settings, topics.models, 0):
                    if record.value is None:
                        records.pop(record.key or b"", None)
                    else:
                        records[record.key or b""] = record.value
            value = records.get(name.encode())
            if value is None:
                raise ModelAbsent(f"{topics.models} does not hold {name}, which the journal names")
            try:
                model = read_model(name.encode(), value, reader)
                scorers[name] = make_scorer(model, key.reveal().encode() if key is not None else None)
            except ModelRefused as refusal:
                raise ModelAbsent(
                    f"{refusal}. The journal names it: is JOURNEY_LEARNER_KEY that of the learner?"
                ) from refusal
        return scorers[name]

    return scorer
