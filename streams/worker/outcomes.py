"""What can happen to a partition besides being processed, as exceptions, and with what status a process then ends."""

from __future__ import annotations

from typing import Final

EXIT_BUG: Final = 4
EXIT_STALLED: Final = 5
EXIT_UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE: brokers or registry do not answer; starting again later may help."""
EXIT_REFUSED: Final = 78
"""EX_CONFIG of sysexits.h: starting again changes nothing until someone has acted."""


class Refused(Exception):  # noqa: N818 - a decision with a remedy, not a defect
    """The worker must not go on until someone acts; the message says what was found and what to do."""


class Unavailable(Refused):
    """Something that the worker needs did not answer in time; unlike other refusals it may pass by itself."""


class Fenced(Exception):  # noqa: N818
    """Another producer has taken this partition's transactional id."""


class OutcomeUnknown(Exception):  # noqa: N818
    """Whether the transaction was committed can only be read from the marker, by a new producer."""


class DefinitionAbsent(Exception):  # noqa: N818
    """A record can only be applied with a definition that this process has not got yet."""

    def __init__(self, number: int) -> None:
        super().__init__(f"definition {number}")
        self.number = number


class OpenCancelled(Exception):  # noqa: N818
    """The group moved on while a partition was being opened."""
