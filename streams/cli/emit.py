"""``journey emit``: write touchpoints by hand, for trying a definition out.

Owns the options and what is printed; the touchpoints are made and delivered in ``streams.tools.emit``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail


def emit(
    types: Annotated[list[str], typer.Argument(help="Names of events, in their order: 'Payment Failed' ...")],
    customer: Annotated[str | None, typer.Option(help="customer_id of all of them.")] = None,
    anonymous: Annotated[str | None, typer.Option(help="anonymous_id of a visitor.")] = None,
    channel: Annotated[str | None, typer.Option(help="web, mobile_app, email, phone, store, ...")] = None,
    value: Annotated[float | None, typer.Option(help="Value, for example of an order.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the value (ISO 4217).")] = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", help="name=value, as often as needed; numbers and JSON are read.")
    ] = None,
    traits: Annotated[list[str] | None, typer.Option("--trait", help="name=value of the customer.")] = None,
    consent: Annotated[list[str] | None, typer.Option("--consent", help="channel=true or channel=false.")] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", help="Any other field of the contract as name=value, for example case_id=c-7."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Write touchpoints, wait until the broker has them, and print their ids and offsets."""
    from streams.contracts.output_codec import OutputCodec
    from streams.contracts.registry import RegistryError
    from streams.tools.emit import EmitError, made, pairs
    from streams.tools.emit import emit as write

    try:
        named: dict[str, Any] = {
            **pairs(fields, "--field"),
            "customer_id": customer,
            "anonymous_id": anonymous,
            "channel": channel,
            "value": value,
            "currency": currency,
            "properties": pairs(properties, "--property"),
            "traits": pairs(traits, "--trait"),
            "consent": pairs(consent, "--consent"),
        }
        touchpoints = made(
            types, int(time.time() * 1000), {name: given for name, given in named.items() if given not in (None, {})}
        )
        connection = connected(bootstrap, prefix, application)
        codec = OutputCodec(connection.schemas("write"), connection.settings.source)
        delivered = write(connection.kafka, connection.topics.touchpoints, codec, touchpoints)
    except (EmitError, RegistryError) as error:
        fail(str(error))
    for touchpoint, partition, offset in delivered:
        if as_json:
            typer.echo(
                json.dumps(
                    {
                        "event_id": touchpoint.event_id,
                        "type": touchpoint.type,
                        "occurred_at": touchpoint.occurred_at,
                        "partition": partition,
                        "offset": offset,
                    }
                )
            )
        else:
            typer.echo(f"{touchpoint.event_id}  {touchpoint.type}  (partition {partition}, offset {offset})")
