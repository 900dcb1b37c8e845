"""(e) The engine without Kafka: ``process`` on decoded touchpoints, and the encoding of what has changed.

One engine for each partition, its partition's touchpoints in chunks as the worker makes them, with the worker's setting
of the garbage collector. No staleness: the backlog counts as if it had been heard in time. A linear model scores each
risk; then all of it once more without the risks. On the way the codec is measured: the same records, decoded; and one
linear score.
"""

from __future__ import annotations

import gc
import sys
import time
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from streams.contracts.codec import TouchpointCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.engine.scoring.scorer import LinearScorer
from streams.engine.state import decode as decode_profile
from streams.tools.replay.log import read
from streams.worker.run import YOUNG_OBJECTS
from tests.bench.meter import peak_mb, tell
from tests.bench.place import CHUNK, PARTITIONS, TRANSACTION, Place, models

SCORES: Final = 100_000


def main(definition: Path) -> None:
    place = Place.given()
    codec = TouchpointCodec(PackagedSchemas())
    logs: list[list[Touchpoint]] = []
    decode = 0.0
    for number in range(PARTITIONS):
        records = list(read(place.settings, place.topics.touchpoints, number))
        touchpoints: list[Touchpoint] = []
        for i in range(0, len(records), CHUNK):
            began = time.process_time()
            decoded = codec.decode(records[i : i + CHUNK])
            decode += time.process_time() - began
            touchpoints += [t for t in decoded if isinstance(t, Touchpoint)]
        logs.append(touchpoints)
    total = sum(map(len, logs))
    loaded = load_files([definition])
    process = changed = 0.0
    scorers = [LinearScorer(model) for model in models(loaded)]
    found = dict.fromkeys(("signals", "triggers", "decisions", "customers", "scores", "examples"), 0)
    waiting = feature_bytes = waiting_bytes = 0
    state_records = state_bytes = profiles = profile_bytes = 0
    gc.collect()
    gc.freeze()  # the input is no part of what is measured
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
    for number, touchpoints in enumerate(logs):
        engine = Engine(loaded, partition=number, partitions=PARTITIONS)
        for scorer in scorers:
            engine.adopt_model(scorer)
        latest: dict[bytes, bytes] = {}
        for i in range(0, len(touchpoints), CHUNK):
            chunk = touchpoints[i : i + CHUNK]
            began = time.process_time()
            out = engine.process(chunk, None)
            process += time.process_time() - began
            for name in found:
                found[name] += len(getattr(out, name))
            if i % TRANSACTION == TRANSACTION - CHUNK or i + CHUNK >= len(touchpoints):
                began = time.process_time()
                records_ = engine.changed()
                changed += time.process_time() - began
                state_records += len(records_)
                for key, value in records_:
                    state_bytes += len(key) + len(value or b"")
                    latest[key] = value or b""
        profiles += engine.profiles
        profile_bytes += sum(map(len, latest.values()))
        waiting += engine.labels_waiting
        for blob in latest.values():
            profile = decode_profile(blob)
            feature_bytes += len(msgspec.msgpack.encode(profile.activity))
            waiting_bytes += sum(len(msgspec.msgpack.encode(risk.waiting)) for risk in profile.risks.values())
    tell(
        {
            "touchpoints": total,
            "cpu_us": process / total * 1e6,
            "unscored_us": unscored(loaded, logs) / total * 1e6,
            "with_changed_us": (process + changed) / total * 1e6,
            "decode_us": decode / total * 1e6,
            "rate": total / process,
            "profiles": profiles,
            "state_records": state_records,
            "state_bytes": state_bytes,
            "profile_bytes": profile_bytes / max(1, profiles),
            "feature_bytes": feature_bytes / max(1, profiles),
            "waiting": waiting / max(1, profiles),
            "waiting_bytes": waiting_bytes / max(1, profiles),
            "score_us": score_us(scorers),
            "peak_mb": peak_mb(),
            **{f"{name}_per_1000": n * 1000 / total for name, n in found.items()},
        }
    )


def unscored(loaded: Definition, logs: list[list[Touchpoint]]) -> float:
    """CPU seconds of ``process`` where the definition has no risks."""
    definition = replace(loaded, risks=(), features=())
    process = 0.0
    for number, touchpoints in enumerate(logs):
        engine = Engine(definition, partition=number, partitions=PARTITIONS)
        for i in range(0, len(touchpoints), CHUNK):
            chunk = touchpoints[i : i + CHUNK]
            began = time.process_time()
            engine.process(chunk, None)
            process += time.process_time() - began
            if i % TRANSACTION == TRANSACTION - CHUNK:
                engine.changed()
    return process


def score_us(scorers: list[LinearScorer]) -> float:
    """Of one linear score, over the risk with most features."""
    scorer = max(scorers, key=lambda one: len(one.means))
    values = array("f", scorer.means)
    began = time.process_time()
    for _ in range(SCORES):
        scorer.score(values)
    return (time.process_time() - began) / SCORES * 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]))
