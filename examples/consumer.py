"""Marketing automation that acts on triggers. Needs confluent-kafka and fastavro, not journey-streams.

    python examples/consumer.py --bootstrap 127.0.0.1:9092 --outbox outbox.jsonl

What a consumer of triggers must do, and where it is done here:

- read only what is committed (``isolation.level``): a trigger of an aborted transaction was never issued;
- do each thing once (``triggers`` table): records can be read again after a crash or a rebalance;
- look at the status: ``issued`` is to be done, every other status ends it, and an end that comes before the message
  has left stops it;
- not act after ``expires_at``;
- say what became of it (``outcome``): ``sent`` frees the channel, and ``fulfilled`` needs it.

The campaign tool is a file here: one JSON line for each request that would be made to it. Its identifiers come from
``external`` of the action in the definition (campaign.journey.yaml), so no campaign's id is in this code.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException
from fastavro import parse_schema, schemaless_reader
from producer import Touchpoints

SCHEMA = Path(__file__).parents[1] / "avro" / "trigger.avsc"


class Ledger:
    """What was done for which trigger. It survives a restart, and the offset is committed after it."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path)
        self._db.execute(
            "create table if not exists triggers (id text primary key, revision integer, status text, sent_at integer)"
        )

    def seen(self, trigger: dict[str, Any]) -> bool:
        """Whether this revision, or a later one, was already taken."""
        row = self._db.execute("select revision from triggers where id = ?", (trigger["trigger_id"],)).fetchone()
        return row is not None and row[0] >= trigger["revision"]

    def sent(self, trigger: dict[str, Any]) -> bool:
        row = self._db.execute("select sent_at from triggers where id = ?", (trigger["trigger_id"],)).fetchone()
        return row is not None and row[0] is not None

    def take(self, trigger: dict[str, Any], sent_at: int | None) -> None:
        self._db.execute(
            "insert into triggers values (?, ?, ?, ?) on conflict (id) do update set revision = excluded.revision,"
            " status = excluded.status, sent_at = coalesce(triggers.sent_at, excluded.sent_at)",
            (trigger["trigger_id"], trigger["revision"], trigger["status"], sent_at),
        )
        self._db.commit()

    def close(self) -> None:
        self._db.close()


class CampaignTool:
    """Stands for the tool's API. ``idempotency_key`` makes a repeated request harmless, as real ones offer."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox

    def request(self, verb: str, trigger: dict[str, Any]) -> None:
        request = {
            "verb": verb,
            "idempotency_key": f"{trigger['trigger_id']}/{verb}",
            "campaign": trigger["external"].get("campaign"),
            "template": trigger["external"].get("template", trigger["content_key"]),
            "recipient": trigger["identifiers"].get(trigger["channel"], trigger["customer"]),
            "merge_fields": trigger["content"],
        }
        with self._outbox.open("a", encoding="utf-8") as file:
            file.write(json.dumps(request, sort_keys=True) + "\n")


def handle(trigger: dict[str, Any], now_ms: int, ledger: Ledger, tool: CampaignTool, touchpoints: Touchpoints) -> str:
    """One record of the triggers topic; returns what was done."""
    if ledger.seen(trigger):
        return "repeated"
    if trigger["status"] == "issued":
        if trigger["expires_at"] <= now_ms:
            ledger.take(trigger, None)
            return "expired"
        # The request first, then the outcome, the ledger last: after a crash between them all is done again, which the
        # tool knows by its key and the engine by the event_id. The other way round a message could be lost.
        tool.request("send", trigger)
        touchpoints.send(
            "Message Dispatched",
            trigger["customer"],
            event_id=f"{trigger['trigger_id']}/sent",
            actor="system",
            channel=trigger["channel"],
            trigger_id=trigger["trigger_id"],
            outcome="sent",
        )
        touchpoints.flush()
        ledger.take(trigger, now_ms)
        return "sent"
    if trigger["status"] == "cancelled" and ledger.sent(trigger):
        tool.request("withdraw", trigger)
    ledger.take(trigger, None)
    return "ended"


def main() -> None:
    options = argparse.ArgumentParser(description="Act on triggers until Ctrl-C.")
    options.add_argument("--bootstrap", default="127.0.0.1:9092")
    options.add_argument("--prefix", default="journey", help="first part of the topics' names")
    options.add_argument("--outbox", type=Path, default=Path("outbox.jsonl"))
    options.add_argument("--ledger", default="ledger.sqlite3")
    options.add_argument("--until-idle", type=float, metavar="SECONDS", help="stop when nothing came for so long")
    chosen = options.parse_args()

    # The writer's schema is the one that is shipped; with a registry it is looked up by the id in bytes 1 to 4.
    schema = parse_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))
    schema_of_times = _plain_times(schema)
    ledger = Ledger(chosen.ledger)
    tool = CampaignTool(chosen.outbox)
    touchpoints = Touchpoints({"bootstrap.servers": chosen.bootstrap}, f"{chosen.prefix}.touchpoints.v1")
    consumer = Consumer(
        {
            "bootstrap.servers": chosen.bootstrap,
            "group.id": "marketing-automation",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10_000,  # one that was killed holds its partitions for so long
        }
    )
    consumer.subscribe([f"{chosen.prefix}.triggers.v1"])
    last = time.monotonic()
    try:
        while chosen.until_idle is None or time.monotonic() - last < chosen.until_idle:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            last = time.monotonic()
            body = BytesIO(bytes(message.value() or b"")[5:])
            trigger: Any = schemaless_reader(body, schema_of_times, None)
            done = handle(trigger, int(time.time() * 1000), ledger, tool, touchpoints)
            print(f"{trigger['customer']}  {trigger['action']}  {trigger['status']}  -> {done}")  # noqa: T201
            consumer.commit(message, asynchronous=False)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
        ledger.close()


def _plain_times(schema: Any) -> Any:
    """Times as integers: fastavro makes datetimes of them unless the logical type is taken out."""
    if isinstance(schema, dict):
        return {name: _plain_times(value) for name, value in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [_plain_times(item) for item in schema]
    return schema


if __name__ == "__main__":
    main()
