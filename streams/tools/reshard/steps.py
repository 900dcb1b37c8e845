"""The steps up to the fence: the new topics, the switch of the producers, the end of the old touchpoints, the fence.

Owns what each step makes sure of before it does anything. A touchpoint topic is closed by a largest record that
no touchpoint fits in: that needs no authorizer, no producer gets one in, and none is told that one was taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import structs

from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import CLOSED_BYTES
from streams.engine import formats
from streams.settings import Settings
from streams.tools.groups import members_that_stay
from streams.tools.importer import hold_clocks
from streams.tools.reshard.merge import Sources, Unlike
from streams.tools.reshard.survey import (
    ReshardError,
    Side,
    Stage,
    Survey,
    ends,
    held,
    survey,
    unread,
)
from streams.tools.topics import make_topics, set_config
from streams.tools.topology.changes import compare
from streams.tools.topology.wanted import Wanted
from streams.worker import marker as markers
from streams.worker.changelog import last_marker
from streams.worker.logs import LIBRDKAFKA
from streams.worker.marker import Marker
from streams.worker.transactions import Message, Outcome, PartitionProducer, fault_of

PROBE_S: Final = 15.0
PAUSE_S: Final = 0.2

Told = Callable[[str], None]


def check_movable(found: Survey, partitions: int) -> None:
    """Raises ``ReshardError`` with what keeps the deployment from moving to so many partitions."""
    old = found.old
    if partitions < 1:
        raise ReshardError(f"a topic has at least one partition, not {partitions}")
    if partitions == old.partitions:
        raise ReshardError(f"{old.topics.touchpoints} has {partitions} partitions already")
    if found.stage >= Stage.PREPARE and found.new.partitions != partitions:
        raise ReshardError(
            f"{found.new.topics.touchpoints} is there already, with {found.new.partitions} partitions. Go on with that "
            "number, or delete the new topics first (nothing is in them before `switch`)."
        )
    paused = sorted(number for number, marker in old.markers.items() if marker.paused is not None)
    if paused:
        raise ReshardError(f"partitions {paused} are paused by their dead letters: `journey partitions resume N` first")
    if found.stage < Stage.SWITCH and any(record.importing for record in Sources.of(old.markers).records.values()):
        raise ReshardError("an import is under way: let it end, or `journey import --finish` if it was killed")


def prepare(settings: Settings, partitions: int, told: Told) -> Survey:
    """Make the topics of the next partitioning: closed, and with a state that awaits, so that nobody begins there."""
    found = survey(settings)
    check_movable(found, partitions)
    if found.stage >= Stage.PREPARE:
        told("prepared already")
        return found
    old, new = found.old, found.new
    like = old.found[old.topics.touchpoints]
    wanted = Wanted(
        partitions=partitions,
        replication=like.replication,
        min_insync_replicas=int(like.configs.get("min.insync.replicas", "1")),
        retention=None,
    )
    plan = compare(new.topics, wanted, {})
    made = {}
    for spec in plan.specs.values():
        if spec.partitions != "input":
            continue
        configs = plan.configs(spec)
        name = spec.name.removesuffix(f".v{new.topics.partitioning}") + f".v{old.topics.partitioning}"
        before = old.found.get(name)
        if before is not None:
            # As somebody may have set them since.
            configs |= {name: before.configs[name] for name in configs if name in before.configs}
        if spec.name == new.topics.beginning:
            configs["retention.ms"] = old.found[old.topics.journal].configs["retention.ms"]
        if spec.name == new.topics.touchpoints:
            configs["max.message.bytes"] = str(CLOSED_BYTES)
        made[spec.name] = (partitions, configs)
    config = settings.kafka.librdkafka()
    # The state awaits before there are touchpoints: no worker takes its emptiness for a first start.
    touchpoints = made.pop(new.topics.touchpoints)
    make_topics(config, made, replication=like.replication)
    _await(new.settings, new.topics.state, partitions, old.topics.partitioning)
    make_topics(config, {new.topics.touchpoints: touchpoints}, replication=like.replication)
    told(f"made {len(made) + 1} topics with {partitions} partitions each, closed to producers")
    return survey(settings)


def _await(settings: Settings, state: str, partitions: int, source: int) -> None:
    producer = PartitionProducer(settings.kafka, settings.batch, mover_id(settings))
    producer.init()
    messages = []
    for number in range(partitions):
        if last_marker(settings, state, number, lambda: False) is None:
            marker = Marker(
                format=formats.NEWEST,
                sequence=0,
                offset=-1,
                next=0,
                topic_id="",
                definition=0,
                start_issuing_at=0,
                awaits=source,
            )
            messages.append(Message(state, number, markers.KEY, markers.encode(marker)))
    if messages:
        commit(producer, messages)


def mover_id(settings: Settings) -> str:
    """Of whoever moves the deployment: a later one fences an earlier one."""
    return f"{settings.app}-reshard"


def commit(producer: PartitionProducer, messages: list[Message]) -> None:
    producer.send(messages)
    if producer.finish() is not Outcome.COMMITTED:
        raise ReshardError(f"the brokers refused a transaction: {producer.last_abort}. Run the command again.")


def switch(settings: Settings, schemas: SchemaSource, told: Told, *, within_s: float) -> Survey:
    """Hold the old idle clocks, then open the new touchpoints: from here on silence in the old ones means nothing."""
    found = survey(settings)
    found.require(Stage.PREPARE, "switch")
    if found.stage > Stage.PREPARE:
        told("switched already")
        return found
    old, new = found.old, found.new
    if not held(old):
        hold_clocks(settings, old.topics, schemas)
        until = time.monotonic() + within_s
        while not held(survey(settings).old):
            if time.monotonic() > until:
                raise ReshardError(
                    f"the workers did not take the mark that holds their idle clocks within {within_s:.0f} s: are they "
                    "running, and is their lag small? Run `switch` again."
                )
            time.sleep(PAUSE_S)
    told("the idle clocks of the old partitions stand: no silence there is taken for one")
    largest = old.found[old.topics.touchpoints].configs["max.message.bytes"]
    set_config(settings.kafka.librdkafka(), new.topics.touchpoints, {"max.message.bytes": largest})
    told(f"{new.topics.touchpoints} is open: point the producers there")
    return survey(settings)


def drain(settings: Settings, told: Told, *, quiet_s: float, within_s: float) -> Survey:
    """Close the old touchpoints when nobody has written for ``quiet_s``, and wait until all are processed."""
    found = survey(settings)
    found.require(Stage.SWITCH, "drain")
    if found.stage >= Stage.DRAIN:
        told("drained already")
        return found
    old = found.old
    if not old.closed:
        before = ends(old)
        time.sleep(quiet_s)
        busy = {number: end - before[number] for number, end in ends(old).items() if end > before[number]}
        if busy:
            raise ReshardError(
                f"somebody still writes to {old.topics.touchpoints}: {sum(busy.values())} records within {quiet_s:g} "
                f"s, partitions {sorted(busy)}. Point every producer to {found.new.topics.touchpoints} first."
            )
        set_config(settings.kafka.librdkafka(), old.topics.touchpoints, {"max.message.bytes": str(CLOSED_BYTES)})
    _probe(old)
    told(f"{old.topics.touchpoints} is closed: producers that still write there are refused")
    until = time.monotonic() + within_s
    while left := sum(unread(survey(settings).old).values()):
        if time.monotonic() > until:
            raise ReshardError(
                f"{left} touchpoints are not processed after {within_s:.0f} s. Are the workers running, and is no "
                "partition paused? Run `drain` again."
            )
        time.sleep(PAUSE_S)
    told("all of it is processed")
    return survey(settings)


def _probe(side: Side) -> None:
    """Until every partition's leader refuses records: a setting reaches brokers one after the other. The record is part
    of a transaction that is never committed, whatever becomes of it."""
    config = side.settings.kafka.librdkafka(
        transactional_id=mover_id(side.settings), transaction_timeout_ms=60_000, linger_ms=0
    )
    until = time.monotonic() + PROBE_S
    open_ = set(range(side.partitions))
    while open_:
        producer = Producer(config, logger=LIBRDKAFKA)
        answers: list[tuple[int, KafkaError | None]] = []

        def answered(
            error: KafkaError | None, message: Any, answers: list[tuple[int, KafkaError | None]] = answers
        ) -> None:
            answers.append((message.partition(), error))

        try:
            producer.init_transactions(PROBE_S)
            producer.begin_transaction()
            for number in open_:
                producer.produce(side.topics.touchpoints, b"\0" * 2 * CLOSED_BYTES, None, number, on_delivery=answered)
            producer.flush(PROBE_S)
            producer.abort_transaction(PROBE_S)
        except KafkaException as failure:
            raise ReshardError(f"{side.topics.touchpoints}: {fault_of(failure)}. Run `drain` again.") from failure
        refused = {number for number, error in answers if error and error.code() == KafkaError.MSG_SIZE_TOO_LARGE}
        if refused:  # the first refusal ends the transaction, so the rest may take several
            open_ -= refused
            until = time.monotonic() + PROBE_S
        if open_ and time.monotonic() > until:
            raise ReshardError(f"partitions {sorted(open_)} of {side.topics.touchpoints} still take records")


def fence(settings: Settings, told: Told) -> Survey:
    """Mark every old partition as moved, in a transaction of its own id: no worker goes on there, whenever it wakes."""
    found = survey(settings)
    found.require(Stage.DRAIN, "fence")
    if found.stage >= Stage.FENCE:
        told("fenced already")
        return found
    old = found.old
    if running := members_that_stay(settings, settings.group_id):
        raise ReshardError(
            f"{running} workers are in the group {old.settings.group_id}: stop them first, so that all partitions "
            "stand at one definition and one model"
        )
    try:
        Sources.of(old.markers).check_alike()
    except Unlike as unlike:
        raise ReshardError(
            f"{unlike}: start the old workers until they agree, stop them, and run `fence` again"
        ) from None
    for number in range(old.partitions):
        # The id of the partition's own producer: whoever had it before can commit nothing any more.
        name = f"{settings.app}-{old.topics.touchpoints}-{number}"
        producer = PartitionProducer(settings.kafka, settings.batch, name)
        producer.init()
        marker = last_marker(settings, old.topics.state, number, lambda: False)
        if marker is None or (not marker.moved_to and marker != old.markers[number]):
            raise ReshardError(f"partition {number} went on meanwhile: run `fence` again")
        if not marker.moved_to:
            moved = structs.replace(
                marker,
                # Of the newest format, so that software which does not know of moves refuses it, too.
                format=formats.NEWEST,
                engine=formats.write(formats.read(marker.engine, marker.format), formats.NEWEST),
                sequence=marker.sequence + 1,
                moved_to=found.new.topics.partitioning,
            )
            commit(producer, [Message(old.topics.state, number, markers.KEY, markers.encode(moved))])
    told(f"{old.partitions} partitions are fenced: workers of partitioning {old.topics.partitioning} refuse to go on")
    return survey(settings)
