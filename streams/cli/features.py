"""``journey features``: what a score may know about a customer, by name, with unit and definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import fail


def features(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Definition files: shows their own features too, and who uses which."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the features of scores: name, unit, definition, and which risks use them."""
    from rich.console import Console  # noqa: PLC0415 - only this command draws a table
    from rich.table import Table  # noqa: PLC0415

    from streams.definitions.load import DefinitionFaults, load_files  # noqa: PLC0415 - imports CEL, which is slow
    from streams.engine.scoring.features import FEATURES, STANDARD  # noqa: PLC0415
    from streams.engine.scoring.plan import of_definition  # noqa: PLC0415

    try:
        definition = load_files(files) if files else None
    except DefinitionFaults as error:
        fail("\n".join(str(fault) for fault in error.faults))
    used: dict[str, list[str]] = {}
    for risk in definition.risks if definition is not None else ():
        for name in risk.features:
            used.setdefault(name, []).append(risk.name)
    if as_json:
        own_features = definition.features if definition is not None else ()
        for feature in (*FEATURES.values(), *map(of_definition, own_features)):
            found = {
                "name": feature.name,
                "unit": feature.unit,
                "title": feature.title,
                "definition": feature.meaning,
                "log": feature.log,
                "standard": feature.name in STANDARD,
                "risks": used.get(feature.name, []),
            }
            typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = Table("feature", "unit", "used by" if definition else "standard", "definition", box=None, pad_edge=False)
    for feature in FEATURES.values():
        by = ", ".join(used.get(feature.name, ())) if definition else "yes" if feature.name in STANDARD else ""
        meaning = f"{feature.title[:1].upper()}{feature.title[1:]}. {feature.meaning}".rstrip()
        table.add_row(feature.name, feature.unit, by, meaning)
    for own in definition.features if definition is not None else ():
        by = ", ".join(used.get(own.name, ()))
        table.add_row(own.name, own.unit, by, f"{own.title[:1].upper()}{own.title[1:]}. CEL: {own.value.text}")
    console = Console(highlight=False)
    if not console.is_terminal:
        # Into a file or a pipe: as wide as it needs to be, one feature a line.
        console = Console(highlight=False, width=320)
    console.print(table, markup=False)
