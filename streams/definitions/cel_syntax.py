"""The syntax of CEL conditions: text -> tree, with the limits that bound what a condition may cost.

Owns lexer, parser and tree. It reads the whole grammar of CEL expressions (language definition, "Syntax") but messages,
and refuses the macros that loop. What a tree means is in ``cel_native.py``; types are checked by cel-expr.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

MAX_BYTES: Final = 1024
MAX_DEPTH: Final = 24
"""Nesting of parentheses, calls and operators; conditions written by people stay below 8."""
LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})


class SyntaxFault(ValueError):  # noqa: N818 - what is wrong in a definition is a fault, everywhere
    """The text is not an expression that is allowed here; ``at`` is the character's position, from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Constant:
    kind: Literal["int", "uint", "double", "string", "bytes", "bool", "null"]
    value: str | float | bool | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Select:
    of: Node
    member: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Index:
    of: Node
    by: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    on: Node | None
    """Receiver of a method; None for a plain function."""
    arguments: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    of: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Logic:
    """A chain of one operator, flat: ``a && b && c``."""

    operator: Literal["&&", "||"]
    parts: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Choice:
    test: Node
    then: Node
    otherwise: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[tuple[Node, Node], ...]
    start: int
    end: int


Node = Constant | Name | Select | Index | Call | Unary | Binary | Logic | Choice | Items | Pairs


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Select(of=of) | Unary(of=of):
            return (of,)
        case Index(of=of, by=by):
            return (of, by)
        case Call(on=on, arguments=arguments):
            return arguments if on is None else (on, *arguments)
        case Binary(left=left, right=right):
            return (left, right)
        case Logic(parts=parts):
            return parts
        case Choice(test=test, then=then, otherwise=otherwise):
            return (test, then, otherwise)
        case Items(items=items):
            return items
        case Pairs(pairs=pairs):
            return tuple(n for pair in pairs for n in pair)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


_TOKEN: Final = re.compile(
    r"""(?P<space>[\ \t\r\n\f]+|//[^\n]*)
    |(?P<string>(?P<prefix>[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''
        |"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'))
    |(?P<double>[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    |(?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    |(?P<int>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    prefix: str = ""


def _tokens(text: str) -> list[_Token]:
    out, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            hint = ", compare with ==" if text[at] == "=" else ""
            raise SyntaxFault(f"{text[at]!r} is not expected here{hint}", at)
        kind = str(found.lastgroup) if found.lastgroup != "prefix" else "string"
        if kind != "space":
            out.append(_Token(kind, found.group(), at, found.end(), found.group("prefix") or ""))
        at = found.end()
    out.append(_Token("end", "", at, at))
    return out


_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"`?])|[xX](?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-3][0-7]{2})|(?P<bad>.))",
    re.DOTALL,
)


def _unescaped(token: _Token) -> str:
    body = token.text[len(token.prefix) :]
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    body = body[quotes:-quotes]
    if "r" in token.prefix.lower():
        return body

    def one(found: re.Match[str]) -> str:
        if found["bad"] is not None:
            raise SyntaxFault(f"\\{found['bad']} is no escape in a CEL text", token.start)
        if found["simple"] is not None:
            return _SIMPLE.get(found["simple"], found["simple"])
        code = int(found["octal"], 8) if found["octal"] else int(found["x"] or found["u"] or found["U"], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise SyntaxFault(f"{found.group()} is no character", token.start)
        return chr(code)

    return _ESCAPE.sub(one, body)


_LEVELS: Final = (
    frozenset({"==", "!=", "<", "<=", ">", ">=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._token.kind != "end":
            raise SyntaxFault(f"{self._token.text!r} is not expected here", self._token.start)
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._token
        return token.text == text and token.kind in ("operator", "name")

    def _expect(self, text: str) -> _Token:
        if not self._is(text):
            found = repr(self._token.text) if self._token.kind != "end" else "the end"
            raise SyntaxFault(f"{text!r} is expected here, found {found}", self._token.start)
        return self._next()

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault(f"nested deeper than {MAX_DEPTH} levels", self._token.start)
        test = self._logic("||")
        if self._is("?"):
            self._next()
            then = self._logic("||")
            self._expect(":")
            otherwise = self._expression()
            test = Choice(test, then, otherwise, test.start, otherwise.end)
        self._depth -= 1
        return test

    def _logic(self, operator: Literal["&&", "||"]) -> Node:
        parts = [self._logic("&&") if operator == "||" else self._binary(0)]
        while self._is(operator):
            self._next()
            parts.append(self._logic("&&") if operator == "||" else self._binary(0))
        if len(parts) == 1:
            return parts[0]
        return Logic(operator, tuple(parts), parts[0].start, parts[-1].end)

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        chain = 0
        while self._token.text in _LEVELS[level] and self._token.kind in ("operator", "name"):
            chain += 1
            if chain > MAX_DEPTH:
                raise SyntaxFault(f"more than {MAX_DEPTH} operators in a row", self._token.start)
            operator = self._next().text
            right = self._binary(level + 1)
            left = Binary(operator, left, right, left.start, right.end)
        return left

    def _unary(self) -> Node:
        operators = []
        while self._is("!") or self._is("-"):
            operators.append(self._next())
            if len(operators) > MAX_DEPTH:
                raise SyntaxFault(f"more than {MAX_DEPTH} signs in a row", self._token.start)
        node = self._member()
        for token in reversed(operators):
            node = Unary(token.text, node, token.start, node.end)
        return node

    def _member(self) -> Node:
        node = self._primary()
        steps = 0
        while True:
            steps += 1
            if steps > MAX_DEPTH:
                raise SyntaxFault(f"more than {MAX_DEPTH} members in a row", self._token.start)
            if self._is("."):
                self._next()
                member = self._next()
                if member.kind != "name":
                    raise SyntaxFault("a name is expected after the dot", member.start)
                if not self._is("("):
                    node = Select(node, member.text, node.start, member.end)
                    continue
                if member.text in LOOPS:
                    raise SyntaxFault(f"{member.text}() loops, which conditions may not do", member.start)
                arguments, end = self._arguments(")")
                node = Call(member.text, node, arguments, node.start, end)
            elif self._is("["):
                self._next()
                by = self._expression()
                node = Index(node, by, node.start, self._expect("]").end)
            else:
                return node

    def _arguments(self, close: str) -> tuple[tuple[Node, ...], int]:
        self._next()
        items: list[Node] = []
        while not self._is(close):
            items.append(self._expression())
            if not self._is(","):
                break
            self._next()
        return tuple(items), self._expect(close).end

    def _primary(self) -> Node:
        token = self._token
        match token.kind, token.text:
            case "operator", "(":
                self._next()
                node = self._expression()
                return replace(node, start=token.start, end=self._expect(")").end)
            case "operator", "[":
                items, end = self._arguments("]")
                return Items(items, token.start, end)
            case "operator", "{":
                return self._pairs()
            case "name", "true" | "false":
                return Constant("bool", self._next().text == "true", token.start, token.end)
            case "name", "null":
                self._next()
                return Constant("null", None, token.start, token.end)
            case "name", "in":
                raise SyntaxFault("'in' needs a value before it", token.start)
            case "name", name:
                self._next()
                if self._is("("):
                    arguments, end = self._arguments(")")
                    return Call(name, None, arguments, token.start, end)
                return Name(name, token.start, token.end)
            case "string", _:
                self._next()
                kind: Literal["string", "bytes"] = "bytes" if "b" in token.prefix.lower() else "string"
                return Constant(kind, _unescaped(token), token.start, token.end)
            case "int" | "uint", text:
                self._next()
                digits = text.rstrip("uU")
                if len(digits) > 20:
                    raise SyntaxFault("the number is too large", token.start)
                number = int(digits, 16) if digits.startswith("0x") else int(digits)
                return Constant("uint" if token.kind == "uint" else "int", float(number), token.start, token.end)
            case "double", text:
                self._next()
                return Constant("double", float(text), token.start, token.end)
            case "end", _:
                raise SyntaxFault("the expression ends too early", token.start)
            case _, text:
                raise SyntaxFault(f"{text!r} is not expected here", token.start)

    def _pairs(self) -> Node:
        start = self._next().start
        pairs: list[tuple[Node, Node]] = []
        while not self._is("}"):
            key = self._expression()
            self._expect(":")
            pairs.append((key, self._expression()))
            if not self._is(","):
                break
            self._next()
        return Pairs(tuple(pairs), start, self._expect("}").end)


def parse(text: str) -> Node:
    """The tree of an expression; ``SyntaxFault`` if it is none or exceeds the limits."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise SyntaxFault(f"longer than {MAX_BYTES} bytes", MAX_BYTES)
    return _Parser(text).whole()
