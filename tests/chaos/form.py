"""Which form of the failure tests runs, with which seed, and how long it waits."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("JOURNEY_TEST_CHAOS") == "full"
SEED: Final = int(os.environ.get("JOURNEY_TEST_SEED", "7"))
PATIENCE: Final = float(os.environ.get("JOURNEY_TEST_PATIENCE", "1"))
"""What is waited for may take so many times longer: for a machine that has other things to do."""
