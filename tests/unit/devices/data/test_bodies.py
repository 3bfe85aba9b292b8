"""The short way through a body: whatever is sent, what comes out is the same as on the long way."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.refusal import Refusal
from services.devices.data.rules import records
from services.devices.data.rules.bodies import Body
from services.devices.data.rules.records import Records

NOW = dt.datetime(2026, 1, 1, 12, 0, 0, 123_999, tzinfo=dt.UTC)
USUAL: dict[str, Any] = {"variable": "Temp", "value": 21.5, "unit": "C", "time": "2026-01-01T00:00:00.001Z"}


def short(content: bytes) -> Records:
    return Body(content).read(NOW, "generated")


def long(content: bytes) -> Records:
    return records.read(records.parse(content), NOW, "generated")


def outcome(read: Callable[[bytes], Records], content: bytes) -> Any:
    """The records, with the kinds of their numbers, or all that a refusal says."""
    try:
        found = read(content)
    except Refusal as refusal:
        return refusal.status, refusal.message, refusal.fields
    return [(tuple(record), repr(record.number), type(record.time)) for record in found]


def same(content: bytes) -> None:
    assert outcome(short, content) == outcome(long, content), content


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that went the long way."""
    seen: list[bytes] = []
    parse = records.parse

    def note(content: bytes) -> Any:
        seen.append(content)
        return parse(content)

    monkeypatch.setattr(records, "parse", note)
    return seen


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"value": 7},
        {"value": None},
        {"value": True},
        {"value": "on"},
        {"value": 2**60},
        {"time": 1_767_225_600},
        {"time": 1_767_225_600_000.5},
        {"time": "2026-01-01 01:00:00"},
        {"time": None},
        {"unit": None},
        {"group": "g"},
        {"serie": "s"},
        {"group": "", "serie": "s"},
        {"location": {"lat": 1.5, "lng": -2}},
        {"metadata": {"a": [1, {"b": None}]}},
    ],
)
def test_what_devices_send_all_day_takes_the_short_way(parsed: list[bytes], more: Mapping[str, Any]) -> None:
    one = USUAL | dict(more)
    for body in (one, [one], [USUAL, one, {"variable": "b"}]):
        content = json.dumps(body).encode()
        expected = outcome(long, content)
        parsed.clear()
        assert (outcome(short, content), parsed) == (expected, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "{",
        '{"variable":"a"}x',
        '\ufeff{"variable":"a"}',
        ' \t\r\n{"variable" : "a"}\n',
        '\f{"variable":"a"}',
        '{"variable":"a","variable":"B"}',
        '{"variable":1,"variable":"b"}',
        '{"var\\u0069able":"\\ud83d\\ude00"}',
        '{"variable":"\\ud83d"}',
        '{"variable":"a","metadata":{"\\udc00":1}}',
        '{"variable":"a","unknown":"\\udc00"}',
        '{"variable":"a","unknown":1}',
        '{"variable":"a","value":-0}',
        '{"variable":"a","value":-0.0}',
        '{"variable":"a","value":1E+2}',
        '{"variable":"a","value":1e400}',
        '{"variable":"a","value":1e-400}',
        '{"variable":"a","value":2.2250738585072011e-308}',
        '{"variable":"a","value":9007199254740993.0}',
        '{"variable":"a","value":100000000000000000000}',
        '{"variable":"a","value":' + "9" * 5000 + "}",
        '{"variable":"a","value":NaN}',
        '{"variable":"a","value":-Infinity}',
        '{"variable":"a","value":01}',
        '{"variable":"a","value":1.}',
        '{"variable":"a","value":"\x01"}',
        '{"variable":"a","value":"\x7f"}',
        '{"variable":"a","value":[]}',
        '{"variable":"a","time":1e12}',
        '{"variable":"a","time":true}',
        '{"variable":"a","time":1e300}',
        '[{"variable":"a","time":"2026-01-01"},{"variable":"a","time":"0001-01-01T00:00:00+23:00"}]',
        '{"variable":"a","metadata":{"a":1,"a":2,"b":1e400}}',
        '{"variable":"a","metadata":' + "[" * 5000 + "]" * 5000 + "}",
        '{"variable":"a","metadata":7}',
        '{"variable":"a","location":{"lat":91,"lng":0}}',
        '[{"variable":"a"},{"variable":"a b","unit":1},{"value":{}}]',
        '[{"variable":"a"},{"ts":1,"values":{"b":1}}]',
        '{"ts":1,"values":{"b":1,"c d":2}}',
        '[{"variable":"a"},]',
        '[[{"variable":"a"}]]',
    ],
)
def test_what_is_unusual_is_the_same_on_both_ways(text: str) -> None:
    same(text.encode())


@pytest.mark.parametrize("content", [b'{"variable":"\xff"}', b'{"variable":"a","metadata":{"\xed\xa0\x80":1}}', b'{"variable":"\xc0\x80"}'])
def test_bytes_that_are_no_text_are_the_same_on_both_ways(content: bytes) -> None:
    same(content)


_INTEGERS = st.integers(-(2**70), 2**70)
_FLOATS = st.floats(allow_nan=False)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_MOMENTS = st.datetimes() | st.datetimes(timezones=st.timezones())
_TIMES = _MOMENTS.map(dt.datetime.isoformat) | _MOMENTS.map(str) | st.dates().map(str) | _INTEGERS | _FLOATS | st.none()
_TEXTS = st.none() | st.text(max_size=3) | st.sampled_from(["C", "", "x" * 25, "x" * 26, "x" * 100, "x" * 101])
_LOCATIONS = st.none() | st.fixed_dictionaries({"lat": _FLOATS | st.integers(-100, 100), "lng": st.floats(-180, 180)})
_FIELDS = {
    "value": _INTEGERS | _FLOATS | st.booleans() | st.none() | st.text(max_size=5),
    "time": _TIMES,
    "unit": _TEXTS,
    "group": _TEXTS,
    "serie": _TEXTS,
    "location": _LOCATIONS,
    "metadata": st.none() | st.dictionaries(st.text(max_size=3), _ANYTHING, max_size=3),
}
_NAMES = st.sampled_from(["a", "B", "温度", "a b", ""]) | st.text(max_size=3)
_RECORDS = st.fixed_dictionaries({"variable": _NAMES}, optional=_FIELDS)
_ODD = st.fixed_dictionaries({}, optional={"variable": _ANYTHING, "unknown": _ANYTHING} | dict.fromkeys(_FIELDS, _ANYTHING))


@settings(max_examples=300, deadline=None)
@given(st.lists(_RECORDS, max_size=4) | _RECORDS | st.lists(_RECORDS | _ODD, max_size=3) | _ANYTHING, st.booleans())
def test_whatever_is_sent_both_ways_read_the_same(body: Any, ascii_only: bool) -> None:
    """In JSON as Python writes it, Infinity and halves of pairs among it."""
    same(json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 400),
    st.text('0123456789eE+-."\\{}[],: nultrfasu\t\n\x00é', max_size=4),
    st.integers(0, 4),
    st.sampled_from(
        [[USUAL], USUAL, [USUAL, {"variable": "b", "metadata": {"a": [1.5, 10**20, "\u00e9"]}, "location": {"lat": 1, "lng": 2}}]]
    ),
)
def test_whatever_is_broken_in_a_body_both_ways_tell_the_same(place: int, put: str, gone: int, body: Any) -> None:
    text = json.dumps(body)
    place %= len(text) + 1
    same((text[:place] + put + text[place + gone :]).encode())
