"""``journey backup`` and ``journey restore``: a deployment's topics as files, and back.

Owns the options and the messages; the work is in ``streams.tools.backup``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Write every topic of the deployment into a folder. Workers and learners must be stopped; producers may go on."""
    from streams.tools.backup.save import save

    connection = connected(bootstrap, prefix, application)
    with _told():
        save(connection.settings, connection.topics, folder, typer.echo)
        typer.echo(f"{folder} is complete. It holds customers' data: keep it as you keep theirs.")


def restore(
    folder: Annotated[Path, typer.Argument(help="What `journey backup` has written.")],
    replication: Annotated[int, typer.Option(min=1, help="Copies of each record.")] = 1,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Bring a backup into a cluster where the topics are not there, or empty. Producers must not write yet."""
    from streams.tools.backup.restore import restore as restored

    connection = connected(bootstrap, prefix, application)
    with _told():
        restored(connection.settings, connection.topics, folder, typer.echo, replication=replication)
        typer.echo(
            "Restored. `journey replay --from-kafka --compare` says whether all is as it was; then start workers."
        )


@contextmanager
def _told() -> Iterator[None]:
    import logging

    from confluent_kafka import KafkaException

    from streams.tools.backup.archive import BackupError
    from streams.tools.topics import TopicsError
    from streams.worker.logs import LIBRDKAFKA

    # What goes wrong is said below; what the client repeats by itself is nobody's business.
    LIBRDKAFKA.addHandler(logging.NullHandler())
    try:
        yield
    except (BackupError, TopicsError, ValueError, OSError) as error:
        fail(str(error))
    except KafkaException as error:
        fail(f"Kafka does not answer as it should: {error.args[0].name()} {error.args[0].str()}")
