"""``journey topics``: what a deployment's topics and rights are to be, and making them so.

Owns the options and the messages; the rules are in ``streams.tools.topics`` and ``streams.tools.topology``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.tools.topology.apply import Plan
    from streams.tools.topology.wanted import Wanted

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Topics and rights of a deployment.")


@app.command()
def create(
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the touchpoints and all that follows.")] = 4,
    replication: Annotated[int, typer.Option(min=1, help="Copies of each record; 3 where there are 3 brokers.")] = 1,
    retention: Annotated[
        str, typer.Option(help="How long touchpoints and what was made of them are kept, as 30d; 'forever'.")
    ] = "30d",
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Create what is missing; what exists is left as it is."""
    from streams.settings_source import milliseconds
    from streams.tools.topics import TopicsError, create_topics

    try:
        retention_ms = -1 if retention == "forever" else milliseconds(retention)
    except ValueError:
        raise typer.BadParameter(f"{retention!r} is no duration such as 12h or 30d, nor 'forever'") from None
    connection = connected(bootstrap, prefix, application)
    try:
        made = create_topics(
            connection.kafka,
            connection.topics,
            partitions=partitions,
            replication=replication,
            retention_ms=retention_ms,
        )
    except TopicsError as error:
        fail(str(error))
    for name, new in made.items():
        typer.echo(f"{'created' if new else 'exists '}  {name}")
    if not all(made.values()):
        typer.echo("Topics that exist were left alone; `journey topics check` compares them.")


@app.command()
def check(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Compare the topics with what the engine needs; exit 1 if a worker would refuse to start."""
    from streams.tools.topics import TopicsError, check_topics

    connection = connected(bootstrap, prefix, application)
    try:
        problems = check_topics(connection.kafka, connection.topics)
    except TopicsError as error:
        fail(str(error))
    for problem in problems:
        typer.echo(f"{problem.gravity:8}{problem}")
    if any(problem.gravity == "refused" for problem in problems):
        fail("A worker would refuse to start on these topics.")
    typer.echo("Nothing keeps a worker from starting." if problems else "All topics are as they should be.")


@app.command("set")
def set_(
    topic: Annotated[str, typer.Argument(help="Name of a topic of the deployment.")],
    settings: Annotated[list[str], typer.Argument(help="Settings of the topic as name=value.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Change settings of one topic, as `check` advises."""
    from streams.tools.topics import TopicsError, set_config

    pairs = [setting.partition("=") for setting in settings]
    for setting, (name, equals, _value) in zip(settings, pairs, strict=True):
        if not name or not equals:
            raise typer.BadParameter(f"{setting!r} is not name=value")
    connection = connected(bootstrap, prefix, application)
    known = [spec.name for spec in connection.topics.specs()]
    if topic not in known:
        fail(f"{topic} is no topic of this deployment. They are: {', '.join(known)}", 2)
    try:
        set_config(connection.kafka, topic, {name: value for name, _, value in pairs})
    except TopicsError as error:
        fail(str(error))
    typer.echo(f"changed  {topic}")


File = Annotated[Path | None, typer.Option("--file", help="YAML file with what is wanted; options win over it.")]
Partitions = Annotated[int | None, typer.Option(help="Partitions of the touchpoints and all that follows.")]
Replication = Annotated[int | None, typer.Option(help="Copies of each record.")]
MinInsync = Annotated[
    int | None, typer.Option("--min-insync-replicas", help="Copies that must have a record before it is acknowledged.")
]
Retention = Annotated[str | None, typer.Option(help="How long touchpoints and outputs are kept, as 30d; 'forever'.")]
TouchpointBytes = Annotated[str | None, typer.Option(help="Largest batch of touchpoints, as 1MiB.")]
Principals = Annotated[
    list[str] | None,
    typer.Option("--principal", help="A user with a role, as worker=User:engine; may be given several times."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command()
def plan(
    file: File = None,
    partitions: Partitions = None,
    replication: Replication = None,
    min_insync: MinInsync = None,
    retention: Retention = None,
    touchpoint_bytes: TouchpointBytes = None,
    principals: Principals = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Show what `apply` would make (+ new, ~ changed), what it refuses (!), and what is beyond the roles (?).

    Exit 0: all is as wanted. 3: there is something to apply. 1: something is refused.
    """
    from streams.tools.topics import TopicsError
    from streams.tools.topology.apply import plan as planned

    wanted = _wanted(file, partitions, replication, min_insync, retention, touchpoint_bytes, principals)
    connection = connected(bootstrap, prefix, application)
    try:
        found = planned(connection.kafka, connection.topics, wanted)
    except TopicsError as error:
        fail(str(error))
    _show(found, as_json=as_json)
    if found.topics.refusals or found.rights.denied:
        raise typer.Exit(1)
    if not found.empty:
        raise typer.Exit(3)


@app.command()
def apply(
    file: File = None,
    partitions: Partitions = None,
    replication: Replication = None,
    min_insync: MinInsync = None,
    retention: Retention = None,
    touchpoint_bytes: TouchpointBytes = None,
    principals: Principals = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take back what users may do beyond their roles.")] = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Make what `plan` shows. No record is deleted. Exit 1 if something is refused; the rest is made."""
    from streams.tools.topics import TopicsError
    from streams.tools.topology.apply import apply as made
    from streams.tools.topology.apply import plan as planned

    wanted = _wanted(file, partitions, replication, min_insync, retention, touchpoint_bytes, principals)
    connection = connected(bootstrap, prefix, application)
    try:
        found = planned(connection.kafka, connection.topics, wanted)
        made(connection.kafka, found, revoke=revoke, told=(lambda _line: None) if as_json else typer.echo)
    except TopicsError as error:
        fail(str(error))
    if as_json:
        _show(found, as_json=True)
    else:
        for refusal in (*found.topics.refusals, *(f"! {grant}: take it back" for grant in found.rights.denied)):
            typer.echo(str(refusal))
        typer.echo("Nothing was to be made." if found.empty else "Made.")
    if found.topics.refusals or found.rights.denied:
        raise typer.Exit(1)


def _wanted(
    file: Path | None,
    partitions: int | None,
    replication: int | None,
    min_insync: int | None,
    retention: str | None,
    touchpoint_bytes: str | None,
    principals: list[str] | None,
) -> Wanted:
    from streams.tools.topology.wanted import WantedError, read

    users: dict[str, list[str]] = {}
    for given in principals or ():
        role, equals, user = given.partition("=")
        if not equals:
            raise typer.BadParameter(f"{given!r} is not role=user, as worker=User:engine")
        users.setdefault(role, []).append(user)
    options = {
        "partitions": partitions,
        "replication": replication,
        "min_insync_replicas": min_insync,
        "retention": retention,
        "touchpoint_bytes": touchpoint_bytes,
        "principals": users,
    }
    try:
        return read(file, options)
    except WantedError as error:
        fail(str(error), 2)


def _show(found: Plan, *, as_json: bool) -> None:
    topics, rights = found.topics, found.rights
    if as_json:
        from dataclasses import asdict

        shown: dict[str, Any] = {
            "changes": [asdict(change) for change in topics.changes],
            "refused": [asdict(refusal) for refusal in topics.refusals],
            "rights": {
                "missing": [asdict(grant) for grant in rights.missing],
                "surplus": [asdict(grant) for grant in rights.surplus],
                "denied": [asdict(grant) for grant in rights.denied],
            },
        }
        typer.echo(json.dumps(shown, indent=2))
        return
    for line in (
        *topics.changes,
        *(f"+ {grant}" for grant in rights.missing),
        *topics.refusals,
        *(f"! {grant}: take it back" for grant in rights.denied),
        *(f"? {grant}: beyond the role; `apply --revoke` takes it back" for grant in rights.surplus),
    ):
        typer.echo(str(line))
    if found.empty and not topics.refusals and not rights.denied:
        typer.echo("All is as wanted.")
