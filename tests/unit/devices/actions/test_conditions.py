"""Which values match which conditions, and which conditions are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.devices.actions.rules.conditions import check, compiled, converted
from services.devices.actions.rules.matching import Sent
from services.devices.data.rules.records import Record

ANY = object()  # a record without a value


def record(value: Any, variable: str = "temp") -> Record:
    """A record as it is stored."""
    number, text = None, None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        if value != number:
            text = json.dumps(value)
    elif value is not ANY:
        text = json.dumps(value, ensure_ascii=False)
    return Record(variable, 0, number, text, None, "g", None, None)


def condition(is_: str, value: Any = None, second: Any = None, kind: str | None = None) -> dict[str, Any]:
    return {"device": "a" * 24, "variable": "Temp", "is": is_, "value": value, "second_value": second, "value_type": kind}


BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("is_", "value", "second", "kind", "matching", "others"),
    [
        ("=", "15", None, "number", [15, 15.0, "15", " 15.0 ", "1.5e1"], [15.1, True, "15x", "", ANY, "١٥"]),
        ("=", 15, None, None, [15, "15"], [16, ANY]),
        ("!", "15", None, "number", [16, "abc", True, "15x"], [15, "15", ANY]),
        ("<", "15", None, "number", [14.9, -1, "14"], [15, 16, "abc", False, ANY]),
        (">", "15", None, "number", [15.1, BIG, "1e3"], [15, 14, "abc", True, ANY]),
        ("><", "10", "20", "number", [10.1, 19.9, "15"], [10, 20, 9, 21, "abc", ANY]),
        ("=", str(BIG), None, "number", [BIG, str(BIG)], [BIG - 1, BIG + 1]),
        (">", BIG, None, "number", [BIG + 1], [BIG, BIG - 1]),
        ("<", 0, None, "number", [-(10**400)], [10**299, "9" * 5000]),
        ("=", "0x1", None, "string", ["0x1"], [1, "0X1", "1", ANY]),
        ("=", "15", None, "string", [15, 15.0, "15"], ["15.0", 15.5]),
        ("=", 1.5, None, "string", [1.5, "1.5"], [1]),
        ("=", "true", None, "string", [True, "true"], [1, "True"]),
        ("!", "on", None, "string", ["off", 1, False, ""], ["on", ANY]),
        ("<", "b", None, "string", ["a", "", "B"], ["b", "c", ANY]),
        ("><", "a", "c", "string", ["b", "az"], ["a", "c", "d", ANY]),
        ("=", "true", None, "boolean", [True, "true", "TRUE", 1, "1"], [False, 0, "yes", 2, ANY]),
        ("=", False, None, None, [False, "false", 0], [True, ANY]),
        ("!", True, None, "boolean", [False, 0, "no"], [True, 1, ANY]),
        ("=", "on", None, "*", ["on"], ["off", ANY]),
        ("*", None, None, None, [1, "a", False, ANY, ""], []),
        ("*", "7", None, "*", [1, ANY], []),
    ],
)
def test_values(is_: str, value: Any, second: Any, kind: str | None, matching: list[Any], others: list[Any]) -> None:
    given = condition(is_, value, second, kind)
    assert check([given]) == {}
    wanted = compiled(given)
    assert [shown for shown in matching if not Sent([record(shown) if abs_safe(shown) else huge(shown)]).matches(wanted)] == []
    assert [shown for shown in others if Sent([record(shown)]).matches(wanted)] == []


def abs_safe(value: Any) -> bool:
    """Whether a double holds about as much."""
    return not (isinstance(value, int) and abs(value) > 10**300)


def huge(value: int) -> Record:
    return Record("temp", 0, None, json.dumps(value), None, "g", None, None)


def test_a_text_that_is_nearly_a_number_takes_no_long_look() -> None:
    """The square of its length would take minutes."""
    assert converted("number", "1" * 200_000 + "x") is None
    assert converted("number", "1." + "1" * 200_000 + "x") is None


def test_compiled_names_what_it_watches() -> None:
    assert compiled(condition("*")).variable == "temp"
    by_tag = compiled({"tag_key": "k", "tag_value": "v", "variable": "x", "is": "*", "unlock": True})
    assert (by_tag.device, by_tag.tag, by_tag.unlock) == (None, ("k", "v"), True)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (condition("=", None, None, "number"), {"0.value"}),
        (condition("=", "abc", None, "number"), {"0.value"}),
        (condition("=", True, None, "number"), {"0.value"}),
        (condition("<", "1e999", None, "number"), {"0.value"}),
        (condition("=", "NaN", None, "number"), {"0.value"}),
        (condition("><", 1, None, "number"), {"0.second_value"}),
        (condition("><", 2, 1, "number"), {"0.second_value"}),
        (condition("><", 1, 1, "number"), {"0.second_value"}),
        (condition("><", "x", "y", "number"), {"0.value", "0.second_value"}),
        (condition("=", "maybe", None, "boolean"), {"0.value"}),
        (condition("<", True, None, "boolean"), {"0.is"}),
        ({**condition("*"), "device": None}, {"0.device"}),
        ({**condition("*"), "tag_key": "k", "tag_value": "v"}, {"0.device"}),
        ({**condition("*"), "device": None, "tag_key": "k"}, {"0.device"}),
        ({**condition("*"), "unlock": True}, {"0.unlock"}),
    ],
)
def test_refused(given: dict[str, Any], wrong: set[str]) -> None:
    assert check([given]).keys() == wrong


def test_each_mistake_has_its_place() -> None:
    assert check([condition("*"), condition("=", "x", None, "number"), condition("*")]).keys() == {"1.value"}
