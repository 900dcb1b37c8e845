"""Conditions and values in CEL: checked at load by cel-expr, evaluated natively where that is possible.

Owns what an expression of a definition may be: at most 1 KiB, no loops, only the variables of its scope
(``variables.py``), a result of the wanted type. All numbers are doubles; integers written beside them are read as
such (``cart.items == 0``). cel-expr needs 6-9 µs a call, so what ``cel_native.py`` can translate does not go there.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal

from cel_expr_python import cel

from streams.definitions.cel_native import Readers, Run, Translator, Untranslatable, reference
from streams.definitions.cel_syntax import Call, Constant, Index, Node, Select, SyntaxFault, children, parse, walk
from streams.definitions.cel_values import EvaluationError, doubles
from streams.definitions.model import Facts
from streams.definitions.variables import Scope, visible

Result = Literal["bool", "double", "date", "any"]
"""What an expression is for: a condition, a number, a date (ms or ISO 8601), or content of any type."""

_TYPES: Final[dict[str, Any]] = {
    "bool": cel.Type.BOOL,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "map<string, dyn>": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "map<string, double>": cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE),
    "map<string, string>": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "map<string, bool>": cel.Type.Map(cel.Type.STRING, cel.Type.BOOL),
    "list<string>": cel.Type.List(cel.Type.STRING),
    "list<dyn>": cel.Type.List(cel.Type.DYN),
}
_NUMERIC: Final = frozenset({"DOUBLE", "INT", "UINT", "DYN"})
_FITS: Final[dict[Result, frozenset[str] | None]] = {
    "bool": frozenset({"BOOL", "DYN"}),
    "double": _NUMERIC,
    "date": _NUMERIC | {"STRING", "TIMESTAMP"},
    "any": None,
}
_WANTED: Final[dict[Result, str]] = {
    "bool": "true or false",
    "double": "a number",
    "date": "a date: a number of ms, or text in ISO 8601",
    "any": "a text, number, bool, list or map",
}


class CelFault(ValueError):  # noqa: N818 - what is wrong in a definition is a fault, everywhere
    """The text is no expression that may stand here; ``at`` is the character's position, from 0."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


class CelExpression:
    """A checked expression; equal text, scope and result make an equal expression."""

    __slots__ = ("_program", "_run", "_test", "errors", "result", "scope", "text", "tree", "uses")

    def __init__(
        self,
        text: str,
        scope: Scope,
        result: Result,
        tree: Node,
        uses: frozenset[str],
        program: Any,
        run: Run | None,
    ) -> None:
        self.text = text
        self.scope: Scope = scope
        self.result: Result = result
        self.tree = tree
        self.uses = uses
        self.errors = 0
        self._program = program
        self._run: Run = run or self.evaluate_with_cel
        self._test = self._tester(self._run)

    def __repr__(self) -> str:
        return f"CelExpression({self.text!r}, {self.scope!r}, {self.result!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CelExpression):
            return NotImplemented
        return (self.text, self.scope, self.result) == (other.text, other.scope, other.result)

    def __hash__(self) -> int:
        return hash((self.text, self.scope, self.result))

    @property
    def native(self) -> bool:
        """Whether it is evaluated without cel-expr."""
        return self._run != self.evaluate_with_cel

    def test(self, facts: Facts) -> bool:
        return self._test(facts)

    def bound(self, readers: Readers) -> Callable[[Any], bool]:
        """``test`` for facts that those readers read: a condition is tested several times a touchpoint, and asking for
        each variable by its name would cost as much as the rest."""
        if not self.native:
            return self._test
        return self._tester(Translator(_names(self.scope), readers).run(self.tree))

    def bound_value(self, readers: Readers) -> Callable[[Any], Any]:
        """``value`` likewise."""
        if not self.native:
            return self.value
        run = Translator(_names(self.scope), readers).run(self.tree)
        number = self.result == "double"

        def value(facts: Any) -> Any:
            try:
                found = run(facts)
                if number and type(found) is float and math.isfinite(found):
                    return found
                return self._fitting(doubles(found))
            except EvaluationError:
                self.errors += 1
                return None

        return value

    def _tester(self, run: Run) -> Callable[[Any], bool]:
        def test(facts: Any) -> bool:
            try:
                value = run(facts)
            except EvaluationError:
                self.errors += 1
                return False
            if value is True:
                return True
            if value is not False:
                self.errors += 1
            return False

        return test

    def value(self, facts: Facts) -> Any:
        try:
            return self._fitting(doubles(self._run(facts)))
        except EvaluationError:
            self.errors += 1
            return None

    def _fitting(self, value: Any) -> Any:
        if self.result == "double" and (type(value) is not float or not math.isfinite(value)):
            raise EvaluationError("not a number")
        if self.result == "date" and type(value) not in (float, str):
            raise EvaluationError("not a date")
        if self.result == "bool" and type(value) is not bool:
            raise EvaluationError("not true or false")
        return value

    def evaluate_with_cel(self, facts: Facts) -> Any:
        """The value as cel-expr sees it; ``EvaluationError`` where it has none."""
        data = {name: doubles(facts(name)) for name in self.uses}
        try:
            found = self._program.eval(data=data)
            kind, value = found.type().name(), found.plain_value()
        except (RuntimeError, TypeError, ValueError) as error:
            # Values that CEL cannot hold, such as half a surrogate pair in a text.
            raise EvaluationError(str(error)) from None
        if kind == "ERROR":
            raise EvaluationError(str(value))
        return _plain(value)


def _plain(value: Any) -> Any:
    """cel-expr's value in the types that the engine knows: dates and durations in ms."""
    if isinstance(value, datetime.datetime):
        return value.timestamp() * 1000.0
    if isinstance(value, datetime.timedelta):
        return value.total_seconds() * 1000.0
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return doubles(value)
    raise EvaluationError("neither text, number, bool, list nor map")


@cache
def _names(scope: Scope) -> Mapping[str, str]:
    return {name: variable.type for name, variable in visible(scope).items()}


@cache
def _environment(scope: Scope) -> Any:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in _names(scope).items()})


def compile_expression(text: str, scope: Scope, result: Result) -> CelExpression:
    """A checked expression, or ``CelFault`` with what is wrong and where."""
    text = text.strip()
    if not text:
        raise CelFault("the expression is empty")
    try:
        tree = parse(text)
    except SyntaxFault as fault:
        raise CelFault(str(fault), fault.at) from None
    for node in walk(tree):
        match node:
            case Call(function="has", arguments=(argument,)) if reference(argument, _names(scope)):
                name = reference(argument, _names(scope))
                raise CelFault(f"has() asks for a key of a map, and {name} is no key: it is always there", node.start)
            case _:
                pass
    uses = frozenset(_references(tree, _names(scope)))
    program, as_doubles = _checked(text, tree, scope)
    kind = program.return_type().name().partition("<")[0]
    fits = _FITS[result]
    if kind in ("TYPE", "BYTES") or (fits is not None and kind not in fits):
        raise CelFault(f"the expression gives {_spoken(kind)}, wanted is {_WANTED[result]}")
    run: Run | None = None
    if as_doubles:
        try:
            run = Translator(_names(scope)).run(tree)
        except Untranslatable:
            run = None
    return CelExpression(text, scope, result, tree, uses, program, run)


def _spoken(kind: str) -> str:
    names = {"BOOL": "true or false", "DOUBLE": "a number", "INT": "a number", "STRING": "a text", "MAP": "a map"}
    return names.get(kind, f"a {kind.lower()}")


def _references(node: Node, names: Mapping[str, str]) -> set[str]:
    name = reference(node, names)
    if name is not None:
        return {name}
    return {found for child in children(node) for found in _references(child, names)}


def _checked(text: str, tree: Node, scope: Scope) -> tuple[Any, bool]:
    """The compiled program, and whether integers in it were made doubles."""
    edits = sorted(_edits(tree, text, within_index=False))
    env = _environment(scope)
    try:
        return env.compile(_edited(text, edits)), True
    except RuntimeError as error:
        problem = str(error)
    if edits:
        try:
            # Integers that belong together, as in `int(cart.items) % 2 == 0`.
            return env.compile(text), False
        except RuntimeError:
            pass
    raise CelFault(*_located(problem, text, edits))


def _edits(node: Node, text: str, *, within_index: bool) -> list[tuple[int, str]]:
    """Insertions that make integers and sizes doubles; what stands in an index stays an integer."""
    if within_index:
        return []
    out: list[tuple[int, str]] = []
    match node:
        case Constant(kind="int", start=start, end=end):
            # Its place includes the parentheses around it.
            out.append((start + len(text[start:end].rstrip(") \t\r\n")), ".0"))
        case Call(function="size", start=start, end=end):
            out += [(start, "double("), (end, ")")]
        case _:
            pass
    for child in children(node):
        by = isinstance(node, Index) and child is node.by
        out += _edits(child, text, within_index=by)
    return out


def _edited(text: str, edits: list[tuple[int, str]]) -> str:
    out, at = [], 0
    for position, insertion in edits:
        out += [text[at:position], insertion]
        at = position
    return "".join([*out, text[at:]])


def _located(problem: str, text: str, edits: list[tuple[int, str]]) -> tuple[str, int]:
    """cel-expr's message without its frame, and the place of the fault in the text as it was written."""
    first = problem.partition("ERROR: ")[2].splitlines()
    if not first:
        return problem, 0
    place, _, message = first[0].partition(": ")
    parts = place.split(":")
    if len(parts) != 3 or not parts[1].isdigit() or not parts[2].isdigit():
        return first[0], 0
    lines = _edited(text, edits).split("\n")
    at = sum(len(line) + 1 for line in lines[: int(parts[1]) - 1]) + int(parts[2]) - 1
    for position, insertion in edits:
        if position >= at:
            break
        at = max(position, at - len(insertion))
    message = message.removesuffix(" (in container '')")
    return message.replace("Syntax error: ", ""), min(at, len(text))


def members(expression: CelExpression) -> list[tuple[str, str]]:
    """(variable, member) wherever a member of a map variable is read: ``stages.purchase``."""
    names = _names(expression.scope)
    out = []
    for node in walk(expression.tree):
        match node:
            case Select(of=of, member=member):
                key = member
            case Index(of=of, by=Constant(kind="string", value=str(text))):
                key = text
            case _:
                continue
        name = reference(of, names)
        if name is not None and reference(node, names) is None:
            out.append((name, key))
    return out
