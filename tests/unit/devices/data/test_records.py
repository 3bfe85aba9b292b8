"""What a device may send, and how it is stored."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.refusal import Refusal
from services.devices.data.rules import fields, records
from services.devices.data.rules.records import Record, parse, read

NOW = dt.datetime(2026, 1, 1, 12, 0, 0, 123_999, tzinfo=dt.UTC)
ARRIVAL = 1_767_268_800_123


def one(**more: Any) -> Record:
    """Read one record of the variable `a`."""
    return read({"variable": "a", **more}, NOW, "generated")[0]


def errors(body: Any) -> dict[str, list[str]]:
    """What is wrong with a body, by field."""
    with pytest.raises(Refusal) as refused:
        read(body, NOW, "generated")
    assert (refused.value.status, refused.value.message) == (400, "Error on Body parameters")
    return dict(refused.value.fields or {})


def refused_json(text: str | bytes) -> None:
    with pytest.raises(Refusal) as refused:
        parse(text.encode() if isinstance(text, str) else text)
    assert (refused.value.status, refused.value.message) == (400, "Error on Body parameters")


def test_a_record_without_anything_else_is_an_event_of_now() -> None:
    assert one() == Record("a", ARRIVAL, None, None, None, "generated", None, None)


def test_all_records_of_a_request_without_a_group_share_the_generated_one() -> None:
    found = read(
        [{"variable": "a"}, {"variable": "b", "group": "own"}, {"variable": "c", "group": ""}, {"variable": "d"}], NOW, "generated"
    )
    assert [record.group for record in found] == ["generated", "own", "generated", "generated"]


def test_null_is_the_same_as_left_out() -> None:
    names = ("value", "unit", "time", "group", "serie", "location", "metadata")
    assert one(**dict.fromkeys(names)) == one()


def test_unknown_fields_are_ignored() -> None:
    assert one(id="x", device="y", bucket=1, deep={"a": []}) == one()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("Temp", "temp"), ("ÄÖ", "äö"), ("a/b:c_d", "a/b:c_d"), ("x" * 100, "x" * 100), ("温度", "温度")],
)
def test_variables_are_lower_case(sent: str, stored: str) -> None:
    assert read({"variable": sent}, NOW, "g")[0].variable == stored


@pytest.mark.parametrize(
    "name", [f"a{character}" for character in " *?!<>.-=$"] + ["", "a\0", "a\n", "x" * 101, "İ" * 51, None, 1, ["a"], {}]
)
def test_names_that_are_refused(name: Any) -> None:
    assert list(errors({"variable": name})) == ["variable"]


@pytest.mark.parametrize(
    ("sent", "number", "text"),
    [
        (1, 1.0, None),
        (-0.5, -0.5, None),
        (2**53, 2.0**53, None),
        (-(2**53), -(2.0**53), None),
        (2**53 + 1, 2.0**53, "9007199254740993"),
        (-(10**30), -1e30, "-1" + "0" * 30),
        (True, None, "true"),
        (False, None, "false"),
        ("", None, '""'),
        ("27", None, '"27"'),
        ('say "ä"\n', None, '"say \\"ä\\"\\n"'),
        ("\0", None, '"\\u0000"'),
    ],
)
def test_values(sent: Any, number: float | None, text: str | None) -> None:
    assert (one(value=sent).number, one(value=sent).value) == (number, text)


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, 10**400, float("inf"), "x" * 6001, "ä" * 3001])
def test_values_that_are_refused(value: Any) -> None:
    assert list(errors({"variable": "a", "value": value})) == ["value"]


@given(st.one_of(st.text(max_size=1500), st.booleans(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_stored_is_what_was_sent(value: Any) -> None:
    record = read(parse(json.dumps({"variable": "a", "value": value}).encode()), NOW, "g")[0]
    shown = record.number if record.value is None else json.loads(record.value)
    assert shown == value and isinstance(shown, bool) == isinstance(value, bool)
    assert (record.number is not None) == (not isinstance(value, (str, bool)))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-01-01T00:00:00.000Z", 1_767_225_600_000),
        ("2026-01-01T00:00:00.0019Z", 1_767_225_600_001),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
        ("2026-01-01 00:00:00", 1_767_225_600_000),  # without a zone: UTC
        ("2026-01-01 00:00:00.006000+00:00", 1_767_225_600_006),  # as the Python SDK writes it
        ("2026-01-01", 1_767_225_600_000),
        ("1969-12-31T23:59:59.999Z", -1),
        (1_767_225_600, 1_767_225_600_000),
        (1_767_225_600.25, 1_767_225_600_250),
        (1_767_225_600_000, 1_767_225_600_000),
        (99_999_999_999, 99_999_999_999_000),
        (100_000_000_000, 100_000_000_000),
        (0, 0),
    ],
)
def test_times(sent: Any, stored: int) -> None:
    assert one(time=sent).time == stored


@pytest.mark.parametrize(
    "time", ["", "yesterday", "2026-02-30", "2026-01-01T25:00:00Z", "0001-01-01T00:00:00+23:00", True, [], {}, 10**16, -(10**15)]
)
def test_times_that_are_refused(time: Any) -> None:
    assert list(errors({"variable": "a", "time": time})) == ["time"]


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_times_are_exact_to_the_millisecond(moment: dt.datetime) -> None:
    stored = fields.time(moment.isoformat())
    assert dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=stored) == moment.replace(
        microsecond=moment.microsecond // 1000 * 1000
    )


def test_serie_is_another_name_of_group() -> None:
    assert one(serie="s").group == "s"
    assert one(serie="s", group="g").group == "g"


@pytest.mark.parametrize(
    ("field", "raw"), [("group", "x" * 101), ("serie", "x" * 101), ("group", 7), ("unit", "x" * 26), ("unit", "\0"), ("unit", 1)]
)
def test_texts_that_are_refused(field: str, raw: Any) -> None:
    assert list(errors({"variable": "a", field: raw})) == [field]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"lat": 35.7, "lng": -78.6}, [-78.6, 35.7]),
        ({"type": "Point", "coordinates": [-78.6, 35.7]}, [-78.6, 35.7]),
        ({"type": "Point", "coordinates": [-78.6, 35.7, 120]}, [-78.6, 35.7, 120]),
        ({"lat": -90, "lng": 180}, [180, -90]),
    ],
)
def test_locations(sent: Any, stored: list[float]) -> None:
    assert json.loads(one(location=sent).location or "") == {"type": "Point", "coordinates": stored}


@pytest.mark.parametrize(
    "location",
    [
        {"lat": 91, "lng": 0},
        {"lat": 0, "lng": -180.1},
        {"lat": "1", "lng": 2},
        {"lat": True, "lng": 2},
        {"lat": 1},
        {},
        [],
        "here",
        {"type": "Polygon", "coordinates": [1, 2]},
        {"coordinates": [1, 2]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": "12"},
        {"type": "Point", "coordinates": [1, 2, 3, 4]},
        {"type": "Point", "coordinates": [1, 2, float("inf")]},
    ],
)
def test_locations_that_are_refused(location: Any) -> None:
    assert list(errors({"variable": "a", "location": location})) == ["location"]


def test_metadata_is_kept_as_json() -> None:
    sent = {"ä": [1, 2**60, None, {"b": "\0"}]}
    assert json.loads(one(metadata=sent).metadata or "") == sent
    assert one(metadata=[1]).metadata == "[1]"


@pytest.mark.parametrize("metadata", ["text", 1, True, {"a": "x" * 10_000}, {"a": "ä" * 5000}, {"a": float("inf")}])
def test_metadata_that_is_refused(metadata: Any) -> None:
    assert list(errors({"variable": "a", "metadata": metadata})) == ["metadata"]


def test_every_mistake_is_told_with_its_place() -> None:
    body = [{"variable": "a"}, {"value": [], "unit": 1}, 5, {"variable": "b", "time": "?"}, "variable", {}, [], None]
    assert {name: len(texts) for name, texts in errors(body).items()} == dict.fromkeys(
        ["1.variable", "1.value", "1.unit", "2", "3.time", "4", "5.variable", "6", "7"], 1
    )


def test_of_very_many_mistakes_some_are_told() -> None:
    assert records.MOST_ERRORS <= len(errors([{"variable": 1, "unit": 1}] * 10_000)) <= records.MOST_ERRORS + 1


@pytest.mark.parametrize("body", [None, 1, "text", True, []])
def test_what_is_no_record_and_no_list_of_them_is_refused(body: Any) -> None:
    assert errors(body) == {}


def test_named_values_are_a_record_each() -> None:
    found = read([{"ts": 1_767_225_600_000, "values": {"A": 1, "b": "x"}, "group": "g"}, {"values": {"c": True}}], NOW, "generated")
    assert [(record.variable, record.number, record.value, record.time, record.group) for record in found] == [
        ("a", 1.0, None, 1_767_225_600_000, "g"),
        ("b", None, '"x"', 1_767_225_600_000, "g"),
        ("c", None, "true", ARRIVAL, "generated"),
    ]


def test_mistakes_in_named_values_are_told_by_name() -> None:
    assert set(errors({"ts": "?", "values": {"a b": 1, "c": []}})) == {"values.a b", "values.c", "ts"}
    assert set(errors([{"values": {}}, {"values": 1}, {"values": {"a": {}}}])) == {"0.values", "1.values", "2.values.a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a":NaN}',
        "[Infinity]",
        "[-Infinity]",
        b"\xff",
        '"\\ud800"',
        '{"\\uDFFF":1}',
        "[" * 100_000,
        f"[{'9' * 5000}]",
        "\0",
        "[1] 2",
    ],
)
def test_json_that_is_refused(text: str | bytes) -> None:
    refused_json(text)


@pytest.mark.parametrize(
    ("text", "parsed"), [(f"[{2**70}]", [2**70]), ('{"a":1,"a":2}', {"a": 2}), ('"\\ud83d\\ude00"', "😀"), (' {"a" : null}\n', {"a": None})]
)
def test_json_is_exact(text: str, parsed: Any) -> None:
    assert parse(text.encode()) == parsed


_NAMES = st.text(max_size=3) | st.sampled_from(["variable", "value", "values", "ts", "time", "location"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60)
@given(_ANYTHING)
def test_nothing_that_json_can_say_is_an_error_of_ours(body: Any) -> None:
    with contextlib.suppress(Refusal):
        assert read(body, NOW, "generated")
