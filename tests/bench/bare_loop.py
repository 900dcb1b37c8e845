"""(a) The limit: consume with confluent-kafka, decode with fastavro, do nothing with it."""

from __future__ import annotations

from io import BytesIO

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from fastavro import schemaless_reader

from streams.contracts import schemas
from tests.bench.meter import Mark, between, peak_mb, tell
from tests.bench.place import CHUNK, PARTITIONS, Place


def main() -> None:
    place = Place.given()
    schema = schemas.parsed("touchpoint")
    consumer = Consumer({"bootstrap.servers": place.bootstrap, "group.id": place.run, "enable.auto.commit": False})
    topic = place.topics.touchpoints
    done = 0
    # From here on: librdkafka fetches ahead of the first message that it hands out.
    begin = Mark.now()
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    while done < place.touchpoints:
        for message in consumer.consume(CHUNK, 1.0):
            if message.error() is None:
                schemaless_reader(BytesIO(message.value()[5:]), schema, None)
                done += 1
    end = Mark.now()
    consumer.close()
    tell({**between(begin, end, done), "peak_mb": peak_mb()})


if __name__ == "__main__":
    main()
