"""(d) What one writes with Faust as its documentation shows it: an agent and a table, at least once.

The same work as the payment definition: a session for each customer, and a signal when a payment has failed twice
within ten minutes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from io import BytesIO
from typing import Any, Final

import faust
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from streams.contracts import schemas
from tests.bench.meter import Mark, between, peak_mb, tell
from tests.bench.place import PARTITIONS, Place

GAP_MS: Final = 30 * 60_000
WINDOW_MS: Final = 10 * 60_000
SIGNAL: Final = parse_schema(
    {
        "type": "record",
        "name": "Friction",
        "fields": [
            {"name": "customer", "type": "string"},
            {"name": "event_id", "type": "string"},
            {"name": "occurred_at", "type": "long"},
            {"name": "failures", "type": "int"},
        ],
    }
)


def signals_topic(run: str) -> str:
    return f"{run}-signals"


def table_topic(run: str) -> str:
    """Where Faust keeps the table's changelog."""
    return f"{run}-customers-changelog"


def new_customer() -> dict[str, Any]:
    return {"session_start": 0, "last_seen": 0, "touchpoints": 0, "failures": [], "alert": False}


def observe(customer: dict[str, Any], touchpoint: dict[str, Any]) -> bool:
    """Moves the customer's state; whether the signal is to be raised."""
    t = touchpoint["occurred_at"]
    if t - customer["last_seen"] > GAP_MS:
        customer["session_start"], customer["touchpoints"] = t, 0
    customer["last_seen"] = t
    customer["touchpoints"] += 1
    failures = [failure for failure in customer["failures"] if failure >= t - WINDOW_MS]
    if touchpoint["type"] == "Payment Failed":
        failures.append(t)
    customer["failures"] = failures
    before, customer["alert"] = customer["alert"], len(failures) >= 2
    return customer["alert"] and not before


def make_app(place: Place) -> Any:
    app = faust.App(
        place.run,
        broker=f"kafka://{place.bootstrap}",
        store="memory://",
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        datadir=os.path.join(tempfile.gettempdir(), place.run),
    )
    schema = schemas.parsed("touchpoint")
    touchpoints = app.topic(place.topics.touchpoints, key_serializer="raw", value_serializer="raw")
    signals = app.topic(signals_topic(place.run), key_serializer="raw", value_serializer="raw")
    customers = app.Table("customers", default=new_customer, partitions=PARTITIONS)
    warm = place.touchpoints // 10
    begin: list[Mark] = []
    done = 0

    @app.agent(touchpoints)  # type: ignore[untyped-decorator]  # Faust publishes no types
    async def find(stream: Any) -> None:
        nonlocal done
        async for key, value in stream.items():
            touchpoint = schemaless_reader(BytesIO(value[5:]), schema, None)
            profile = key.decode()
            customer = customers[profile]
            if observe(customer, touchpoint):
                body = BytesIO()
                found = {
                    "customer": profile,
                    "event_id": touchpoint["event_id"],
                    "occurred_at": touchpoint["occurred_at"],
                    "failures": len(customer["failures"]),
                }
                schemaless_writer(body, SIGNAL, found)
                await signals.send(key=key, value=body.getvalue())
            customers[profile] = customer
            done += 1
            if done == warm:
                begin.append(Mark.now())
            elif done == place.touchpoints:
                tell({**between(begin[0], Mark.now(), done - warm), "peak_mb": peak_mb()})
                # Faust's orderly end takes seconds and says nothing more.
                os._exit(0)

    return app


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "-l", "warn"]
    make_app(Place.given()).main()
