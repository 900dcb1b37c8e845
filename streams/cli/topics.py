"""``journey topics``: create the topics of a deployment, check them, change a setting of one.

Owns the options and the messages; the rules are in ``streams.tools.topics``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Create and check the topics of a deployment.")


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
