"""The operator API's refusals: the table is what the functions say, and there is nothing in either that nobody uses."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.operator_api import refusals
from services.gateway.operator_api.refusals import KINDS, Document, OperatorRefusal

FOLDER = Path(refusals.__file__).parent
FUNCTIONS = {
    name: function
    for name, function in inspect.getmembers(refusals, inspect.isfunction)
    if not name.startswith("_") and function.__module__ == refusals.__name__
}
WRONG = Mistake("/proxy", "is wrong")
# What the functions are given, by the name of the parameter.
GIVEN: dict[str, Any] = {
    "what": "key", "name": "p", "low": 0, "high": 9, "shown": "id", "mistake": WRONG, "current": 3, "number": 3, "position": 3,
    "names": ["a", "b"], "longest": 9, "most": 9, "error": ValueError("wrong"), "states": ["dead"], "keys": 3,
    "rows": 3, "message": "wrong", "id": "i", "path": "/api/users", "own": "a",
}  # fmt: skip


def refuse(name: str, **more: Any) -> OperatorRefusal:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    several: Any = Mistakes([WRONG]) if any(one.annotation == "Mistakes" for one in parameters.values()) else [WRONG]
    given = {**GIVEN, "mistakes": several, **more}
    wanted = {one for one, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    return FUNCTIONS[name](**{one: given[one] for one in wanted})


def everything() -> list[OperatorRefusal]:
    plain = [refuse(name) for name in FUNCTIONS if name != "invalid"]
    return [*plain, *(refuse("invalid", what=what) for what in get_args(Document))]


def test_there_are_refusals() -> None:
    assert len(FUNCTIONS) > 30
    assert len(KINDS) > 20


@pytest.mark.parametrize("refusal", everything(), ids=lambda refusal: f"{refusal.code}-{refusal.status}")
def test_what_is_said_stands_in_the_table(refusal: OperatorRefusal) -> None:
    assert refusal.status in KINDS[refusal.code].statuses
    assert refusal.message


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.code)
def test_what_stands_in_the_table_is_said(kind: refusals.Kind) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert kind.remedy.endswith(".")
    assert {refusal.status for refusal in everything() if refusal.code == kind.code} == set(kind.statuses)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_refusal_is_raised_somewhere(name: str) -> None:
    raised = rf"\braise \(?refusals\.{name}\("
    returned = rf"\breturn refusals\.{name}\("
    texts = [path.read_text() for path in FOLDER.rglob("*.py") if path.name != "refusals.py"]
    assert any(re.search(f"{raised}|{returned}", text) for text in texts)
