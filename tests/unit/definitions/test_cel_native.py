"""Native evaluation gives what cel-expr gives: value for value, error for error."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.definitions.cel import CelExpression, CelFault, Result, compile_expression
from streams.definitions.cel_values import EvaluationError, doubles

# Event scope, because `properties` holds anything and the rest is typed.
NUMBERS = ("event.value", "event.score", "event.wait_ms")
TEXTS = ("event.topic", "event.emotion", "event.type")
KEYS = ("a", "b", "n", "s", "t", "l", "m", "none", "gone")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from(["", "a", "x", "xa", "é€𝄞", "B"]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from(KEYS), scalars, max_size=3))
data = st.fixed_dictionaries(
    {
        **{name: st.floats(allow_nan=True, allow_infinity=True, width=32) for name in NUMBERS},
        **{name: st.sampled_from(["", "a", "x", "xa", "B"]) for name in TEXTS},
        "properties": st.dictionaries(st.sampled_from(KEYS[:-1]), values, max_size=6),
    }
)

# One strategy for each type, so that nearly all of what is drawn passes the type check; `dyn` fits everywhere.
dyn = st.one_of(
    st.sampled_from([f"properties.{key}" for key in KEYS] + [f"properties['{key}']" for key in KEYS]),
    st.sampled_from(["properties.m.a", "properties.l[0]", "properties.l[2]", "properties.m['s']", "properties.m.gone"]),
)


def _number(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(["0", "1", "2.5", "-1", "1e3", "3"]), st.sampled_from(NUMBERS), dyn)
    if depth == 0:
        return leaves
    inner = _number(depth - 1)
    return st.one_of(
        leaves,
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"-({t})"),
        _holder(depth - 1).map(lambda t: f"size({t})"),
        _holder(depth - 1).map(lambda t: f"({t}).size()"),
        st.tuples(_condition(depth - 1), inner, inner).map(lambda t: f"({t[0]} ? {t[1]} : {t[2]})"),
    )


def _text(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(["'a'", "'x'", '"xa"', "r'x'", "''", "'é€𝄞'"]), st.sampled_from(TEXTS), dyn)
    if depth == 0:
        return leaves
    return st.one_of(leaves, st.tuples(_text(0), _text(0)).map(lambda t: f"({t[0]} + {t[1]})"))


def _holder(depth: int) -> st.SearchStrategy[str]:
    return st.one_of(
        dyn,
        _text(depth),
        st.sampled_from(["properties", "[1, 2]", "['a', 'x']", "[]", "[true, 'a', 1.0, null]", "[properties.a, 1]"]),
    )


def _condition(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(
        st.sampled_from(["true", "false", "has(properties.a)", "has(properties.m.a)", "has(properties.gone.a)"]), dyn
    )
    if depth == 0:
        return leaves
    inner, compare = _condition(depth - 1), st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    number, text = _number(depth - 1), _text(depth - 1)
    return st.one_of(
        leaves,
        st.tuples(number, compare, number).map(" ".join).map("({})".format),
        st.tuples(text, compare, text).map(" ".join).map("({})".format),
        st.tuples(inner, compare, inner).map(" ".join).map("({})".format),
        st.tuples(dyn, st.sampled_from(["==", "!="]), st.one_of(_holder(0), st.just("null"))).map(" ".join),
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join).map("({})".format),
        st.tuples(inner, inner, inner).map(" && ".join).map("({})".format),
        st.tuples(inner, inner, inner).map(" || ".join).map("({})".format),
        inner.map("!({})".format),
        st.tuples(text, st.sampled_from(["startsWith", "endsWith", "contains"]), text).map(
            lambda t: f"({t[0]}).{t[1]}({t[2]})"
        ),
        st.tuples(text, st.sampled_from(["['a', 'x']", "properties", "properties.l", "properties.m"])).map(" in ".join),
        st.tuples(number, st.sampled_from(["[1, 2.5]", "properties.l"])).map(" in ".join),
        st.tuples(dyn, st.sampled_from(["[true, 'a', 1.0, null]", "['a', 'x']", "properties.l", "properties.m"])).map(
            " in ".join
        ),
    )


expressions = st.one_of(_condition(3), _number(3), _text(1))


def answer(run: Any, facts: dict[str, Any]) -> Any:
    try:
        return "value", doubles(run(facts.__getitem__))
    except EvaluationError:
        return "error", None


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    return bool(a == b)


def compiled(text: str) -> CelExpression | None:
    results: tuple[Result, ...] = ("any", "bool")
    for result in results:
        try:
            return compile_expression(text, "event", result)
        except CelFault:
            continue
    return None


@settings(max_examples=300, deadline=None)
@given(text=expressions, facts=st.lists(data, min_size=3, max_size=3))
def test_native_equals_cel_expr(text: str, facts: list[dict[str, Any]]) -> None:
    expression = compiled(text)
    # The health check of hypothesis fails the test if much of what is drawn does not come past here.
    assume(expression is not None and expression.native)
    assert expression is not None
    for one in facts:
        native = answer(expression._run, one)
        reference = answer(expression.evaluate_with_cel, one)
        assert same(native, reference), f"{text} over {one}: native {native}, cel-expr {reference}"


FACTS: dict[str, Any] = {
    "event.value": 2.0,
    "event.type": "hello",
    "properties": {"a": 1, "s": "x", "b": True, "none": None, "l": [1.0, "a"], "m": {"k": 1}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("properties.gone == 1.0 || true", True),
        ("true || properties.gone == 1.0", True),
        ("properties.s && false", False),
        ("false && properties.gone", False),
        ("properties.gone || false", None),
        ("properties.s && true", None),
        ("event.value > 1 && properties.gone", None),
        ("event.value > 1 && properties.b == true", True),
        ("event.value > 1 && properties.gone == 1.0", None),
        ("event.value > 2 && properties.gone == 1.0", False),
        ("event.value > 1 || properties.gone == 1.0", True),
        ("event.value > 2 || properties.gone == 1.0", None),
        ("event.type != 'hello' || properties.a > 0.0", True),
        ("properties.none == null", True),
        ("properties.b == 1", False),
        ("properties.b < 1", None),
        ("properties.a == 1", True),
        ("properties.a + 1", 2.0),
        ("properties.none < null", None),
        ("properties.m == {'k': 1.0}", True),
        ("properties.l < properties.l", None),
        ("1 / 0 > 5", True),
        ("event.value / 0", math.inf),
        ("size(event.type) == 5", True),
        ("size('é€𝄞')", 3.0),
        ("properties.l[0]", 1.0),
        ("properties.l[2]", None),
        ("'x' in properties.s", None),
        ("has(properties.none)", True),
        ("has(properties.s.k)", None),
        ("event.type.matches('h.*o')", True),
        ("double('2.5') + event.value", 4.5),
        ("int(event.value) % 2 == 0", True),
        ("properties.l[size(properties.l) - 1]", "a"),
        ("timestamp('1970-01-01T00:00:01Z')", 1000.0),
        ("duration('1m')", 60000.0),
        ("properties.m", {"k": 1.0}),
    ],
)
def test_meaning(text: str, expected: Any) -> None:
    expression = compile_expression(text, "event", "any")
    assert same(expression.value(FACTS.__getitem__), expected)
    assert expression.errors == (1 if expected is None else 0)
    assert same(answer(expression._run, FACTS), answer(expression.evaluate_with_cel, FACTS))


LONG: dict[str, Any] = {"event.topic": "a" * 10_000 + "!", "properties": {"l": ["a" * 100] * 5_000, "s": "a" * 10_000}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("properties.l.all(x, properties.l.all(y, properties.l.all(z, x == y)))", "all"),
        ("properties.l.map(x, x + x).size() > 1.0", "map"),
        ("properties.l.exists_one(x, true)", "exists_one"),
        ("properties.l.filter(x, x != '')[0] == 'a'", "filter"),
        ("properties.l.existsOne(x, true)", "existsOne"),
        ("(" * 200 + "true" + ")" * 200, "nested deeper"),
        ("!" * 500 + "true", "signs in a row"),
        ("[" * 100 + "]" * 100 + " == []", "nested deeper"),
        ("-" * 300 + "event.value > 0", "signs in a row"),
        ("properties.s" + " + properties.s" * 60, "operators in a row"),
        ("event.topic == '" + "a" * 1_100 + "'", "longer than 1024 bytes"),
        ("true" + " || true" * 200, "longer than 1024 bytes"),
    ],
)
def test_an_expression_that_could_cost_much_is_refused(text: str, says: str) -> None:
    with pytest.raises(CelFault, match=re.escape(says)):
        compile_expression(text, "event", "bool")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # A matcher that goes back over the text would need 2^10,000 steps for these; the one here reads it once.
        ("event.topic.matches('^(a+)+$')", False),
        ("event.topic.matches('^(a|aa)*$')", False),
        ("event.topic.matches('(.*)*.*=.*')", False),
        ("matches(properties.s, '(a*)*b')", False),
        # The matcher refuses what would need too much memory, so there is no value.
        ("event.topic.matches('((a{0,100}){0,100}){0,100}$')", None),
        ("properties.s" + " + properties.s" * 20 + " == 'a'", False),
        ("(properties.l" + " + properties.l" * 20 + ") == []", False),
        ("'b' in (properties.l" + " + properties.l" * 20 + ")", False),
    ],
)
def test_what_is_allowed_ends(text: str, value: bool | None) -> None:
    try:
        expression = compile_expression(text, "event", "any")
    except CelFault:
        assert value is None
        return
    assert expression.value(LONG.__getitem__) == value
