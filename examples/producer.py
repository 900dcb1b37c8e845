"""A shop that tells the journeys what its customers do. Needs confluent-kafka and fastavro, not journey-streams.

    python examples/producer.py --bootstrap 127.0.0.1:9092 --customer c-1042

Three things make it right for the engine, and each is one line below: the key is the customer's id, the partitioner is
Java's murmur2 (librdkafka's default is another one), and the event_id stays the same when an event is sent again.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from fastavro import parse_schema, schemaless_writer

SCHEMA = Path(__file__).parents[1] / "avro" / "touchpoint.avsc"
ID_WITHOUT_REGISTRY = 1
"""The fixed id of the touchpoint schema for topics that are used without a schema registry."""


class Touchpoints:
    """Writes touchpoints; ``flush`` waits until the broker has them all."""

    def __init__(self, config: dict[str, Any], topic: str, registry: str | None = None) -> None:
        text = SCHEMA.read_text(encoding="utf-8")
        self._schema = parse_schema(json.loads(text))
        number = ID_WITHOUT_REGISTRY
        if registry is not None:
            number = SchemaRegistryClient({"url": registry}).register_schema(f"{topic}-value", Schema(text, "AVRO"))
        # Confluent's wire format: a zero byte, the schema's id in four bytes, the Avro body.
        self._prefix = b"\x00" + number.to_bytes(4, "big")
        self._topic = topic
        self._producer = Producer({**config, "partitioner": "murmur2_random", "enable.idempotence": True})
        self.refused: list[str] = []

    def send(self, type_: str, customer: str, **fields: Any) -> str:
        """Any field of avro/touchpoint.avsc by its name. Returns the event's id."""
        event = {
            "event_id": str(uuid.uuid4()),  # once for each event, not once for each attempt to send it
            "type": type_,
            "occurred_at": int(time.time() * 1000),
            "customer_id": customer,
            **fields,
        }
        body = BytesIO()
        schemaless_writer(body, self._schema, event)
        self._producer.produce(
            self._topic, self._prefix + body.getvalue(), key=customer.encode(), on_delivery=self._delivered
        )
        self._producer.poll(0)
        return str(event["event_id"])

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.refused.append(error.str())

    def flush(self) -> None:
        """Return when the broker has everything that was sent."""
        left = self._producer.flush(30)
        if left or self.refused:
            raise SystemExit(f"{left + len(self.refused)} touchpoints were not delivered: {self.refused[:1]}")


def main() -> None:
    options = argparse.ArgumentParser(description="Send one customer's visit that ends in a payment problem.")
    options.add_argument("--bootstrap", default="127.0.0.1:9092")
    options.add_argument("--topic", default="journey.touchpoints.v1")
    options.add_argument("--registry", help="address of a schema registry; without one the fixed id is used")
    options.add_argument("--customer", default="c-1042")
    chosen = options.parse_args()

    shop = Touchpoints({"bootstrap.servers": chosen.bootstrap}, chosen.topic, chosen.registry)
    me = chosen.customer
    shop.send("identify", me, traits={"email": "ada@example.com"}, consent={"email": True}, channel="web")
    shop.send("Product Viewed", me, channel="web", properties={"product_id": "p-7", "price": 49.0})
    shop.send(
        "Product Added",
        me,
        channel="web",
        properties={"product_id": "p-7", "price": 49.0, "quantity": 1, "name": "Kettle"},
    )
    shop.send("Checkout Started", me, channel="web", value=49.0, currency="GBP")
    shop.send("Payment Info Entered", me, channel="web")
    for _ in range(2):
        shop.send("Payment Failed", me, channel="web", value=49.0, currency="GBP", properties={"reason": "declined"})
    shop.flush()
    print(f"7 touchpoints of {me} are in {chosen.topic}")  # noqa: T201 - an example talks to its reader


if __name__ == "__main__":
    main()
