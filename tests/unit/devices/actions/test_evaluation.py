"""When an action fires, locks and is freed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from services.devices.actions.rules.conditions import compiled
from services.devices.actions.rules.evaluation import Outcome, Watches, evaluate, watch
from services.devices.actions.rules.matching import Sent
from services.devices.data.rules.records import Record

HERE, THERE = "a" * 24, "b" * 24
HOT = {"device": HERE, "variable": "temp", "is": ">", "value": "95", "value_type": "number"}
WET = {"device": HERE, "variable": "humidity", "is": ">", "value": "80", "value_type": "number"}
COOL = {"device": HERE, "variable": "temp", "is": "<", "value": "90", "value_type": "number", "unlock": True}
PUMP = {"tag_key": "kind", "tag_value": "pump", "variable": "temp", "is": ">", "value": 95}
WITHOUT, WITH_LOCK = [HOT, WET], [HOT, WET, COOL]


def records(*given: float | tuple[str, float]) -> Sent:
    return Sent(listed(*given))


def listed(*given: float | tuple[str, float]) -> list[Record]:
    pairs = [one if isinstance(one, tuple) else ("temp", one) for one in given]
    return [Record(variable, 0, float(value), None, None, "g", None, None) for variable, value in pairs]


@pytest.mark.parametrize(
    ("trigger", "locked", "sent", "outcome"),
    [
        (WITHOUT, False, [96], Outcome((0,), False)),
        (WITHOUT, False, [50], None),
        (WITHOUT, False, [50, 96, 97, ("humidity", 90), ("other", 99)], Outcome((1, 2, 3), False)),
        (WITHOUT, True, [96], Outcome((0,), False)),  # a lock that nothing could free does not count
        (WITH_LOCK, False, [96], Outcome((0,), True)),
        (WITH_LOCK, False, [85], None),  # nothing to free
        (WITH_LOCK, True, [96], None),
        (WITH_LOCK, True, [92], None),
        (WITH_LOCK, True, [85], Outcome((), False)),
        (WITH_LOCK, True, [85, 96], Outcome((), False)),  # what frees does not fire in the same request
        (WITH_LOCK, True, [96, 85], Outcome((), False)),
        (WITH_LOCK, False, [96, 85], Outcome((0,), True)),  # one change a request
    ],
)
def test_outcomes(trigger: list[dict[str, Any]], locked: bool, sent: list[Any], outcome: Outcome | None) -> None:
    assert evaluate(watch("x", 1, trigger), HERE, frozenset(), records(*sent), locked) == outcome


def test_a_record_that_matches_both_frees_only() -> None:
    both = watch("x", 1, [HOT, {**HOT, "unlock": True}])
    assert evaluate(both, HERE, frozenset(), records(96), True) == Outcome((), False)
    assert evaluate(both, HERE, frozenset(), records(96), False) == Outcome((0,), True)


def test_hysteresis() -> None:
    """95 °C and then up and down: told once, and again only after it was below 90."""
    action, locked, fired = watch("x", 1, WITH_LOCK), False, []
    for value in (94, 96, 99, 97, 93, 96, 89, 94, 96, 98):
        outcome = evaluate(action, HERE, frozenset(), records(value), locked)
        if outcome is not None:
            locked = outcome.locked
            fired.extend([value] if outcome.fired_by else [])
    assert fired == [96, 96]


def test_other_devices_do_not_matter() -> None:
    assert evaluate(watch("x", 1, WITHOUT), THERE, frozenset(), records(96), False) is None


@pytest.mark.parametrize(
    ("tags", "fires"),
    [
        ({("kind", "pump")}, True), ({("kind", "pump"), ("a", "b")}, True), ({("kind", "valve")}, False), ({("pump", "kind")}, False),
        (set(), False),
    ],
)  # fmt: skip
def test_tags(tags: set[tuple[str, str]], fires: bool) -> None:
    outcome = evaluate(watch("x", 1, [PUMP]), HERE, frozenset(tags), records(96), False)
    assert (outcome is not None) is fires


def test_concerned() -> None:
    """Only what could be changed by a record is looked at further; tags are not known yet."""
    watches = Watches([watch("hot", 1, [HOT, COOL]), watch("wet", 1, [WET]), watch("pump", 1, [PUMP])])
    assert watches.size == 4
    assert watches.concerned(HERE, records(92)).keys() == set()
    assert watches.concerned(HERE, records(85)).keys() == {"hot"}
    assert watches.concerned(HERE, records(96)).keys() == {"hot", "pump"}
    assert watches.concerned(HERE, records(96, ("humidity", 81))).keys() == {"hot", "wet", "pump"}
    assert watches.concerned(THERE, records(96)).keys() == {"pump"}
    assert Watches([]).concerned(HERE, records(96)) == {}


class Counted(NamedTuple):
    """A record that counts how often its value is looked at."""

    record: Record
    looks: list[int]

    @property
    def variable(self) -> str:
        return self.record.variable

    @property
    def number(self) -> float | None:
        self.looks[0] += 1
        return self.record.number

    @property
    def value(self) -> str | None:
        return self.record.value


def test_many_conditions_look_at_each_record_once() -> None:
    """An account has up to 2000 conditions, a request up to 11,000 records: each with each would stop all writing for seconds."""
    looks = [0]
    sent = Sent([Counted(record, looks) for record in listed(*range(100))])
    trigger = [{**HOT, "is": is_, "value": value} for is_ in ("=", "<", ">", "!") for value in range(0, 100, 7)]
    action = watch("x", 1, trigger)
    assert Watches([action]).concerned(HERE, sent).keys() == {"x"}
    assert evaluate(action, HERE, frozenset(), sent, False) == Outcome(tuple(range(100)), False)
    assert looks == [100]


def test_matching_is_what_each_condition_says_of_each_record() -> None:
    """All conditions of an action together find what they find alone, each record once and in order."""
    values = [5, "5", "x", True, False, "true", 7.5, "", 5, -3, None, "7.5", 2**53 + 1]
    records = [
        Record("temp", 0, float(one) if type(one) in (int, float) else None, None if one is None or type(one) in (int, float)
               else json.dumps(one), None, "g", None, None) for one in values
    ]  # fmt: skip
    sent = Sent(records)
    conditions = [
        compiled({**HOT, "is": is_, "value": value, "second_value": second, "value_type": kind})
        for is_, value, second, kind in (
            ("=", 5, None, "number"), ("!", 5, None, "number"), ("<", 5, None, "number"), ("><", 4, 8, "number"),
            ("=", "5", None, "string"), (">", "s", None, "string"), ("!", "x", None, "string"),
            ("=", True, None, "boolean"), ("!", True, None, "boolean"),
            ("*", None, None, None),
        )
    ]  # fmt: skip
    alone = [{place for place, record in enumerate(records) if Sent([record]).matches(one)} for one in conditions]
    assert alone[0] == {0, 1, 8}
    for first, found in zip(conditions, alone, strict=True):
        assert set(sent.matching([first])) == found
        for second, more in zip(conditions, alone, strict=True):
            assert sent.matching([first, second]) == sorted(found | more)
