"""The common part of CEL as Python closures: what cel-expr would answer, in a tenth of its time.

Owns the meaning of operators on values (CEL language definition, "Evaluation"): equality across types, ordering only
within a type, ``&&`` and ``||`` that absorb errors of the other side, a missing key or a wrong type as an error.
A differential property test holds it to cel-expr. Numbers are doubles: integers found in maps are read as such.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.definitions.cel_syntax import (
    Binary,
    Call,
    Choice,
    Constant,
    Index,
    Items,
    Logic,
    Name,
    Node,
    Select,
    Unary,
)
from streams.definitions.cel_values import EvaluationError, as_double, contains, divide, equal
from streams.definitions.model import Facts

Run = Callable[[Facts], Any]
Readers = Mapping[str, Callable[[Any], object]]
"""Variable name -> how it is read from the facts that the expression will be given."""
DYN: Final = "dyn"


class Untranslatable(Exception):  # noqa: N818 - not an error: cel-expr evaluates what is not translated
    """The expression uses something that is left to cel-expr."""


def reference(node: Node, names: Mapping[str, str]) -> str | None:
    """The declared variable that the node as a whole names: ``cart.items`` is one name, not a member."""
    name = dotted(node)
    return name if name in names else None


def dotted(node: Node) -> str | None:
    """``a.b.c`` of a name and its members; None for anything else."""
    match node:
        case Name(name=name):
            return name
        case Select(of=of, member=member):
            head = dotted(of)
            return None if head is None else f"{head}.{member}"
        case _:
            return None


_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDER_OF_CONSTANT: Final[dict[str, Callable[[Run, Any], Run]]] = {
    "<": lambda left, constant: lambda facts: left(facts) < constant,
    "<=": lambda left, constant: lambda facts: left(facts) <= constant,
    ">": lambda left, constant: lambda facts: left(facts) > constant,
    ">=": lambda left, constant: lambda facts: left(facts) >= constant,
}
"""The commonest comparison, `orders >= 2.0`, without a call of the operator."""
_NUMBERS: Final[dict[str, Callable[[Any, Any], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}
_ORDERED: Final = (float, str, bool)


class Translator:
    """Tree -> closure, for one scope's variables (name -> CEL type).

    With readers the closure reads variables by them; without, it asks the facts by name.
    """

    def __init__(self, names: Mapping[str, str], readers: Readers | None = None) -> None:
        self._names = names
        self._readers = readers

    def run(self, node: Node) -> Run:
        return self._of(node)[0]

    def _of(self, node: Node) -> tuple[Run, str]:
        """The closure and the type that its value is known to have."""
        name = reference(node, self._names)
        if name is not None:
            declared = self._names[name]
            read: Run = self._readers[name] if self._readers is not None else lambda facts: facts(name)
            return read, declared if declared in ("double", "string", "bool") else DYN
        match node:
            case Constant(kind="int" | "double", value=value):
                return _constant(value), "double"
            case Constant(kind="string" | "bool", value=value):
                return _constant(value), node.kind
            case Constant(kind="null"):
                return _constant(None), DYN
            case Select(of=of, member=member):
                return _member(self.run(of), member), DYN
            case Index(of=of, by=Constant(kind="string", value=str(key))):
                return _member(self.run(of), key), DYN
            case Index(of=of, by=Constant(kind="int", value=float(at))):
                return _item(self.run(of), int(at)), DYN
            case Unary(operator="!", of=of):
                return _not(self.run(of)), "bool"
            case Unary(of=of):
                return _minus(self.run(of)), "double"
            case Logic(operator=op, parts=parts):
                if len(parts) == 2 and self._sure(parts[0]) and self._of(parts[1])[1] == "bool":
                    return _pair(op, self.run(parts[0]), self.run(parts[1])), "bool"
                runs = tuple(self.run(part) for part in parts)
                return (_any(runs) if op == "||" else _all(runs)), "bool"
            case Choice(test=test, then=then, otherwise=otherwise):
                (yes, kind), (no, other) = self._of(then), self._of(otherwise)
                return _choice(self.run(test), yes, no), kind if kind == other else DYN
            case Binary():
                return self._binary(node)
            case Items(items=items):
                runs = tuple(self.run(item) for item in items)
                return (lambda facts: [run(facts) for run in runs]), DYN
            case Call():
                return self._call(node)
            case _:
                raise Untranslatable

    def _sure(self, node: Node) -> bool:
        """Whether it compares a variable with a constant of its type: always true or false, never an error."""
        match node:
            case Binary(operator=op, left=left, right=Constant() as right) if op in _ORDER or op in ("==", "!="):
                kind = self._of(left)[1]
                return reference(left, self._names) is not None and kind != DYN and kind == self._of(right)[1]
            case _:
                return False

    def _binary(self, node: Binary) -> tuple[Run, str]:
        (left, kind), (right, other) = self._of(node.left), self._of(node.right)
        op = node.operator
        known = kind == other and kind != DYN
        if op in ("==", "!="):
            return _equality(left, right, node.right, known=known, negated=op == "!="), "bool"
        if op in _ORDER:
            return _order(op, left, right, node.right, known=known), "bool"
        if op == "in":
            return _in(left, right, node.right), "bool"
        if op not in _NUMBERS:
            raise Untranslatable
        return _arithmetic(op, left, right, known=known and kind == "double"), kind if known else DYN

    def _call(self, node: Call) -> tuple[Run, str]:
        match node:
            case Call(function="has", on=None, arguments=(Select(of=of, member=member),)):
                return _has(self.run(of), member), "bool"
            case Call(function="size", on=None, arguments=(of,)) | Call(function="size", on=of, arguments=()) if of:
                return _size(self.run(of)), "double"
            case Call(function=function, on=on, arguments=(argument,)) if function in _TEXT_TESTS and on is not None:
                return _text_test(_TEXT_TESTS[function], self.run(on), self.run(argument)), "bool"
            case _:
                raise Untranslatable


def _constant(value: Any) -> Run:
    return lambda _: value


def _member(of: Run, member: str) -> Run:
    def run(facts: Facts) -> Any:
        holder = of(facts)
        if type(holder) is not dict or member not in holder:
            raise EvaluationError(member)
        value = holder[member]
        return as_double(value) if type(value) is int else value

    return run


def _item(of: Run, at: int) -> Run:
    def run(facts: Facts) -> Any:
        holder = of(facts)
        if type(holder) is not list or at >= len(holder):
            raise EvaluationError(at)
        value = holder[at]
        return as_double(value) if type(value) is int else value

    return run


def _has(of: Run, member: str) -> Run:
    def run(facts: Facts) -> bool:
        holder = of(facts)
        if type(holder) is not dict:
            raise EvaluationError(member)
        return member in holder

    return run


def _size(of: Run) -> Run:
    def run(facts: Facts) -> float:
        value = of(facts)
        if type(value) not in (str, list, dict):
            raise EvaluationError("size")
        return float(len(value))

    return run


def _text_test(test: Callable[[str, str], bool], of: Run, argument: Run) -> Run:
    def run(facts: Facts) -> bool:
        text, part = of(facts), argument(facts)
        if type(text) is not str or type(part) is not str:
            raise EvaluationError("text")
        return test(text, part)

    return run


def _not(of: Run) -> Run:
    def run(facts: Facts) -> bool:
        value = of(facts)
        if value is True:
            return False
        if value is False:
            return True
        raise EvaluationError("!")

    return run


def _minus(of: Run) -> Run:
    def run(facts: Facts) -> float:
        value = of(facts)
        if type(value) is int:
            value = as_double(value)
        if type(value) is not float:
            raise EvaluationError("-")
        return -value

    return run


def _settled(runs: tuple[Run, ...], *, by: bool) -> Run:
    """A chain that ``by`` decides wherever it stands; only without it do errors and other types count."""
    otherwise = not by

    def run(facts: Facts) -> bool:
        failed = False
        for part in runs:
            try:
                value = part(facts)
            except EvaluationError:
                failed = True
                continue
            if value is by:
                return by is True
            if value is not otherwise:
                failed = True
        if failed:
            raise EvaluationError("logic")
        return otherwise

    return run


def _pair(op: str, sure: Run, other: Run) -> Run:
    """Two parts of which the first has no error to be absorbed: Python's own operators mean the same."""
    if op == "||":
        return lambda facts: sure(facts) or other(facts)
    return lambda facts: sure(facts) and other(facts)


def _any(runs: tuple[Run, ...]) -> Run:
    return _settled(runs, by=True)


def _all(runs: tuple[Run, ...]) -> Run:
    return _settled(runs, by=False)


def _choice(test: Run, yes: Run, no: Run) -> Run:
    def run(facts: Facts) -> Any:
        value = test(facts)
        if value is True:
            return yes(facts)
        if value is False:
            return no(facts)
        raise EvaluationError("?")

    return run


def _equality(left: Run, right: Run, node: Node, *, known: bool, negated: bool) -> Run:
    if known:
        if isinstance(node, Constant):
            constant = node.value
            return (lambda facts: left(facts) != constant) if negated else (lambda facts: left(facts) == constant)
        return (lambda facts: left(facts) != right(facts)) if negated else (lambda facts: left(facts) == right(facts))
    if isinstance(node, Constant) and isinstance(node.value, str):
        # Nothing but an equal str equals a str, so no look at the types is needed.
        text = node.value
        return (lambda facts: left(facts) != text) if negated else (lambda facts: left(facts) == text)
    if isinstance(node, Constant) and (node.value is None or isinstance(node.value, bool)):
        only = node.value  # there is one True, one False and one None, and nothing else equals them
        return (lambda facts: left(facts) is not only) if negated else (lambda facts: left(facts) is only)
    if negated:
        return lambda facts: not equal(left(facts), right(facts))
    return lambda facts: equal(left(facts), right(facts))


def _order(op: str, left: Run, right: Run, node: Node, *, known: bool) -> Run:
    test = _ORDER[op]
    if known and isinstance(node, Constant):
        return _ORDER_OF_CONSTANT[op](left, node.value)
    if known:
        return lambda facts: test(left(facts), right(facts))

    def run(facts: Facts) -> bool:
        a, b = left(facts), right(facts)
        if type(a) is int:
            a = as_double(a)
        if type(b) is int:
            b = as_double(b)
        if type(a) is not type(b) or type(a) not in _ORDERED:
            raise EvaluationError("order")
        return test(a, b)

    return run


def _in(left: Run, right: Run, node: Node) -> Run:
    if isinstance(node, Items) and node.items:
        values = [item.value for item in node.items if isinstance(item, Constant)]
        texts = frozenset(value for value in values if isinstance(value, str))
        if len(values) == len(node.items) and all(isinstance(value, str) for value in values):

            def run(facts: Facts) -> bool:
                value = left(facts)
                return type(value) is str and value in texts

            return run
    return lambda facts: contains(left(facts), right(facts))


def _arithmetic(op: str, left: Run, right: Run, *, known: bool) -> Run:
    numbers = _NUMBERS[op]
    if known:
        return lambda facts: numbers(left(facts), right(facts))

    def run(facts: Facts) -> Any:
        a, b = left(facts), right(facts)
        kind = type(a)
        if kind is int:
            a, kind = as_double(a), float
        if type(b) is int:
            b = as_double(b)
        if kind is not type(b) or (kind is not float and (op != "+" or kind not in (str, list))):
            raise EvaluationError(op)
        return numbers(a, b)

    return run
