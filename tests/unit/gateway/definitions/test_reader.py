"""Reading JSON field by field: types, cases, nulls, places of mistakes, and documents that are no objects."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.compiler import read
from services.gateway.definitions.reader import Mistakes, Reader, Report, join, read_json
from tests.unit.gateway.exchanges import document


def reader(**fields: Any) -> Reader:
    return Reader(fields, "", Report())


def said(source: Reader) -> list[tuple[str, str]]:
    return [tuple(mistake) for mistake in source.report.mistakes]  # type: ignore[misc]


def test_names_are_compared_without_regard_to_case() -> None:
    source = reader(Use_KEYLESS=True, other=1)
    assert source.flag("use_keyless") is True
    assert "use_keyless" in source
    assert source.at("use_keyless") == "/Use_KEYLESS"
    assert source.at("absent") == "/absent"
    assert source.report.unknown() == [("/other", 1)]


def test_a_field_in_two_cases_is_a_mistake() -> None:
    assert said(reader(Name="a", name="b")) == [("/name", "is the same field as `Name`: case does not count")]


def test_null_is_a_field_that_is_not_there() -> None:
    source = reader(a=None)
    assert "a" not in source
    assert (source.text("a", "x"), source.flag("a", True), source.integer("a", 7), source.number("a", 0.5, 1, 2)) == ("x", True, 7, 0.5)
    assert (source.mapping("a"), source.items("a"), source.texts("a"), source.object("a").text("b")) == ([], [], [], "")
    assert said(source) == []
    assert source.report.unknown() == []


@pytest.mark.parametrize(
    ("value", "method", "message"),
    [
        (5, "text", "must be a string, not a number"),
        (True, "text", "must be a string, not true or false"),
        (1, "flag", "must be true or false, not a number"),
        ("true", "flag", "must be true or false, not a string"),
        (True, "integer", "must be a number, not true or false"),
        ("5", "integer", "must be a number, not a string"),
        ({}, "items", "must be a list, not an object"),
        ("a", "items", "must be a list, not a string"),
        ([], "mapping", "must be an object, not a list"),
        ([], "object", "must be an object, not a list"),
        (0, "object", "must be an object, not a number"),
    ],
)
def test_wrong_types(value: Any, method: str, message: str) -> None:
    source = reader(a=value)
    getattr(source, method)("a")
    assert said(source) == [("/a", message)]


@pytest.mark.parametrize(
    ("value", "read"),
    [(0, 0), (3, 3), (3.0, 3), (10, 10), (-1, None), (11, None), (2.5, None), (float("inf"), None), (float("nan"), None), (10**400, None)],
)
def test_whole_numbers(value: float, read: int | None) -> None:
    source = reader(a=value)
    assert source.integer("a", 5, 0, 10) == (5 if read is None else read)
    assert said(source) == ([("/a", "must be a whole number from 0 to 10")] if read is None else [])


@pytest.mark.parametrize(
    ("value", "read"), [(0.1, 0.1), (5, 5), (0, None), (-1, None), (5.1, None), (float("inf"), None), (float("nan"), None), (10**400, None)]
)
def test_numbers(value: float, read: float | None) -> None:
    source = reader(a=value)
    assert source.number("a", 2.5, 0, 5) == (2.5 if read is None else read)
    assert said(source) == ([("/a", "must be a number above 0 and at most 5")] if read is None else [])


def test_choices_and_lists_of_texts() -> None:
    source = reader(a="x", b="y", c=["k", 5, None, "l"])
    assert source.choice("a", ("x", "z"), "z") == "x"
    assert source.choice("b", ("x", "z"), "z") == "z"
    assert source.choice("none", ("x", "z"), "z") == "z"
    assert source.texts("c") == [("k", "/c/0"), ("l", "/c/3")]
    assert said(source) == [
        ("/b", "must be one of x, z, not `y`"),
        ("/c/1", "must be a string, not a number"),
        ("/c/2", "must be a string, not null"),
    ]


def test_an_object_that_was_read_from_json_is_called_one() -> None:
    source = reader(**read_json('{"name": {"x": 1}}'))
    source.text("name")
    assert said(source) == [("/name", "must be a string, not an object")]


def test_places_of_nested_fields() -> None:
    report = Report()
    source = Reader({"Proxy": {"Target": 5, "unknown": 1}, "versions": {"a/b~c": 1}}, "", report)
    assert source.object("proxy").text("target") == ""
    assert source.mapping("versions") == [("a/b~c", 1, "/versions/a~1b~0c")]
    assert [mistake.pointer for mistake in report.mistakes] == ["/Proxy/Target"]
    assert report.unknown() == [("/Proxy/unknown", 1)]


@pytest.mark.parametrize(
    ("name", "pointer"), [("a", "/x/a"), (0, "/x/0"), ("a/b", "/x/a~1b"), ("~", "/x/~0"), ("~1", "/x/~01"), ("", "/x/")]
)
def test_pointers(name: str | int, pointer: str) -> None:
    assert join("/x", name) == pointer


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("", "", "is not valid JSON: Expecting value (line 1, column 1)"),
        ('{"a": 1,\n  }', "", "is not valid JSON"),
        ('{"data": "{"foo": "bar"}"}', "", "is not valid JSON"),
        ("[]", "", "must be an object, not a list"),
        ("5", "", "must be an object, not a number"),
        ("null", "", "must be an object, not null"),
        ('{"a": NaN}', "", "NaN is not a JSON number"),
        ('{"a": -Infinity}', "", "-Infinity is not a JSON number"),
        ('{"a": 1, "b": 2, "a": 3}', "/a", "is given twice"),
        ('{"x": [{"a/b": 1, "a/b": 1}]}', "/x/0/a~1b", "is given twice"),
        (b'{"a": "\xff"}', "", "is not UTF-8"),
        ("[" * 100_000, "", "is nested too deeply"),
        ('{"a": ' * 102 + "1" + "}" * 102, "/a" * 101, "is nested too deeply: 100 levels"),
        ('{"a": [' + "[" * 900 + "]" * 900 + "]}", "/a" + "/0" * 100, "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "", "is not valid JSON"),
        ("{} {}", "", "Extra data"),
        (r'{"a": [{"b": "x\u0000"}]}', "/a/0/b", "holds a NUL"),
        (r'{"a": "\ud83d"}', "/a", "half of a surrogate pair"),
        (r'{"a": {"\udc00": 1}}', "/a", "a field whose name"),
    ],
)
def test_documents_that_are_refused(text: str | bytes, pointer: str, message: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        read_json(text)
    assert len(wrong.value.mistakes) == 1
    assert wrong.value.mistakes[0].pointer == pointer
    assert message in wrong.value.mistakes[0].message


def test_what_is_nested_deeply_enough_for_everybody() -> None:
    assert read_json('{"a": ' * 100 + "1" + "}" * 100)


def test_every_key_that_comes_twice_is_named() -> None:
    with pytest.raises(Mistakes) as wrong:
        read_json('{"a": {"b": 1, "b": 2, "b": 3}, "c": [{"d": 1, "d": 1}], "a": 1, "e": {"f": 1, "f": 1}}')
    assert [mistake.pointer for mistake in wrong.value.mistakes] == ["/a", "/c/0/d", "/e/f"]
    assert str(wrong.value) == "/a: is given twice; /c/0/d: is given twice; /e/f: is given twice"


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, JSON))
def test_what_is_valid_is_read_as_it_is(document: dict[str, Any]) -> None:
    assert read_json(json.dumps(document)) == document


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_nothing_but_mistakes_is_raised(text: str | bytes) -> None:
    try:
        found: Any = read_json(text)
    except Mistakes as wrong:
        found = dict(wrong.mistakes)
    assert isinstance(found, dict)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_many_keys_of_which_one_comes_twice_are_read_once() -> None:
    """The square of their number would take hours."""
    with pytest.raises(Mistakes, match="/a: is given twice"):
        read_json('{"a": 0, "a": 0, ' + ", ".join(f'"k{number}": 0' for number in range(300_000)) + "}")


@pytest.mark.timeout(60)
def test_a_long_name_is_refused_before_it_stands_in_a_hundred_thousand_pointers() -> None:
    with pytest.raises(Mistakes, match="name is longer than 256 characters"):
        read_json(json.dumps({"x" * 5_000_000: [0] * 100_000}))
    assert read_json(json.dumps({"x" * 256: 1}))


@pytest.mark.slow
def test_reading_leaves_nothing_to_the_garbage_collector() -> None:
    """Loading thousands of definitions would, and the collector would stop everything for as long as it takes."""
    gc.collect()
    gc.disable()
    try:
        report = Report()
        source = Reader({"a": {"b": [{"c": 1}]}, "d": 1}, "", report)
        assert [Reader(one, place, report).integer("c") for one, place in source.object("a").items("b")] == [1]
        assert report.unknown() == [("/d", 1)]
        del source, report
        assert read(document())[0] is not None
        # Other threads of this process may leave garbage of their own. A function names its module as its class does.
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [one for one in gc.garbage if str(getattr(one, "__module__", "")).startswith("services.gateway.")] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
