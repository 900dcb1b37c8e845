"""What CEL's operators mean on plain Python values, where that differs from Python.

Owns equality across types, membership, division and the reading of every number as a double.
"""

from __future__ import annotations

import math
from typing import Any


class EvaluationError(Exception):
    """The expression has no value: a missing key, a wrong type, an index out of range."""


def doubles(value: Any) -> Any:
    """A copy in which every integer is a double."""
    kind = type(value)
    if kind is int:
        return as_double(value)
    if kind is dict:
        return {k: doubles(v) for k, v in value.items()}
    if kind in (list, tuple, set, frozenset):
        return [doubles(v) for v in value]
    return value


def as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def equal(a: Any, b: Any) -> bool:
    """Equality across types: numbers by value, all else only with its own type, lists and maps by content."""
    kind, other = type(a), type(b)
    if kind is int:
        a, kind = as_double(a), float
    if other is int:
        b, other = as_double(b), float
    if kind is not other:
        return False
    if kind is list:
        return len(a) == len(b) and all(map(equal, a, b))
    if kind is dict:
        return len(a) == len(b) and all(k in b and equal(v, b[k]) for k, v in a.items())
    return bool(a == b)


def contains(item: Any, container: Any) -> bool:
    kind = type(container)
    if kind is list:
        if type(item) is str:
            return item in container
        return any(equal(item, other) for other in container)
    if kind is dict:
        if type(item) is str:
            return item in container
        if type(item) in (float, bool):
            return False
    raise EvaluationError("in")


def divide(a: float, b: float) -> float:
    """IEEE 754: by zero is infinite or no number, never an error."""
    if b:
        return a / b
    if not a or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)
