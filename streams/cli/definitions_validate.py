"""``journey validate``: says everything that is wrong with definition files, and exits 1 if something is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Definition files; several are one definition.")
    ],
) -> None:
    """Check definition files: every fault with file, line and column; exit 1 if there is one."""
    from streams.definitions.load import DefinitionFaults, load_files  # noqa: PLC0415 - imports CEL, which is slow

    try:
        definition = load_files(files)
    except DefinitionFaults as error:
        for warning in error.warnings:
            typer.echo(f"{warning} [warning]", err=True)
        for fault in error.faults:
            typer.echo(str(fault), err=True)
        count = len(error.faults)
        typer.echo(f"{count} {'fault' if count == 1 else 'faults'}", err=True)
        raise typer.Exit(1) from None
    for line in definition.warnings:
        typer.echo(f"{line} [warning]", err=True)
    friction = sum(len(journey.friction) for journey in definition.journeys)
    deadlines = sum(len(journey.abandonment) for journey in definition.journeys)
    experiments = {action.experiment.name for action in definition.actions if action.experiment is not None}
    typer.echo(
        f"no fault: {len(definition.journeys)} journeys, {deadlines} deadlines, {friction} friction rules, "
        f"{len(definition.segments)} segments, {len(definition.milestones)} milestones, "
        f"{len(definition.risks)} risks, {len(definition.actions)} actions, {len(experiments)} experiments, "
        f"{len(definition.contact_policy.limits)} contact limits"
    )
