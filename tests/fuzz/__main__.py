"""`make fuzz`: every parser for FUZZ_SECONDS (default 60), with ever new seeds; ends with 1 at the first fault.

FUZZ_PARSER names one of them, FUZZ_SEED begins elsewhere. What hangs is shown with its stack after two minutes.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import time
import warnings
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import HypothesisException, HypothesisWarning

from tests.fuzz.parsers import ALL, Parser

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
ONLY = os.environ.get("FUZZ_PARSER", "")
FIRST = int(os.environ.get("FUZZ_SEED", str(int(time.time()))))
ROUND = 300
HANGS_AFTER_S = 120.0


def fuzzed(parser: Parser) -> tuple[int, int]:
    """(inputs, seed after the last round). What a parser lets out goes through."""
    inputs, number, until = 0, FIRST, time.monotonic() + SECONDS
    while time.monotonic() < until:

        @seed(number)
        @settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(parser.drawn)
        def hold(drawn: Any) -> None:
            nonlocal inputs
            inputs += 1
            faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
            parser.holds(drawn)

        hold()
        number += 1
    faulthandler.cancel_dump_traceback_later()
    return inputs, number


def main() -> int:
    warnings.simplefilter("ignore", HypothesisWarning)  # of how long the strategies are when they are written out
    logging.disable(logging.WARNING)  # parsers say what they pass over: of hostile input, all of it
    for parser in ALL:
        if ONLY in parser.name:
            print(f"{parser.name}: seeds from {FIRST} …", flush=True)  # noqa: T201 - what the command is for
            try:
                inputs, _ = fuzzed(parser)
            except (Exception, HypothesisException) as fault:
                print(f"{parser.name}: {type(fault).__name__}; the smallest input that does it is above")  # noqa: T201
                raise
            print(f"{parser.name}: {inputs} inputs, nothing found")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
