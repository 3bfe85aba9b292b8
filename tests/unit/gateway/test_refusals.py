"""The table of refusals."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from services.gateway import refusals
from services.gateway.definitions.event_schema import EVENTS
from services.gateway.refusals import BAD_PATH, REGISTRY, Refusal, RefusalKind, counted
from services.gateway.rendering import render_early

GATEWAY = Path(__file__).parents[3] / "services/gateway"

# Tyk 3.1, word for word: clients compare them.
TYK = {
    "not-found": (404, "Not Found", None),
    "ip-refused": (403, "access from this IP has been disallowed", "AuthFailure"),
    "version-missing": (403, "Version information not found", "VersionFailure"),
    "version-unknown": (403, "This API version does not seem to exist", "VersionFailure"),
    "version-expired": (403, "Api Version has expired, please check documentation or contact administrator", "VersionFailure"),
    "endpoint-forbidden": (403, "Requested endpoint is forbidden", "VersionFailure"),
    "key-missing": (401, "Authorization field missing", None),
    "key-unknown": (403, "Access to this API has been disallowed", "AuthFailure"),
    "key-inactive": (403, "Key is inactive, please renew", "KeyExpired"),
    "key-expired": (401, "Key has expired, please renew", "KeyExpired"),
    "access-denied": (403, "Access to this API has been disallowed", None),
    "rate-limit-exceeded": (429, "Rate limit exceeded", "RatelimitExceeded"),
    "quota-exceeded": (403, "Quota exceeded", "QuotaExceeded"),
    "batch-malformed": (400, "Batch request malformed", None),
    "batch-entry-malformed": (400, "Batch request creation failed , request structure malformed", None),
    "upstream-unreachable": (502, "There was a problem proxying the request", None),
    "upstream-timeout": (504, "There was a problem proxying the request", None),
    "upstream-broken": (502, "There was a problem proxying the request", None),
}  # fmt: skip

# What is refused as an attack ends the connection: nothing that follows on it can be believed.
ATTACKS = {
    "malformed-request": 400, "bad-path": 400, "ambiguous-length": 400, "bad-host": 400, "bad-header": 400, "head-too-large": 431,
    "target-too-long": 414, "body-too-large": 413,
}  # fmt: skip


@pytest.mark.parametrize("code", TYK)
def test_the_words_of_tyk(code: str) -> None:
    kind = REGISTRY[code]
    assert (kind.status, kind.message, kind.event) == TYK[code]


@pytest.mark.parametrize("code", ATTACKS)
def test_attacks_end_the_connection(code: str) -> None:
    assert (REGISTRY[code].status, REGISTRY[code].closes) == (ATTACKS[code], True)


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_every_row_of_the_table(kind: RefusalKind) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert 400 <= kind.status <= 599
    assert kind.message
    assert kind.event is None or kind.event in EVENTS
    assert bool(kind.event) is bool(kind.event_message)
    body = json.loads(render_early(Refusal(kind), "id-1").body)
    detail = {} if kind.detail is None else {"detail": kind.detail}
    assert body == {"error": kind.message, "code": kind.code, **detail, "request_id": "id-1"}


def test_every_code_can_happen() -> None:
    """The gateway names every kind of the table, elsewhere than to compare with it: docs/errors.md promises nothing else."""
    used = {name for path in GATEWAY.rglob("*.py") if path.name != "refusals.py" for name in _used(ast.parse(path.read_text()))}
    kinds = {name: kind for name, kind in vars(refusals).items() if isinstance(kind, RefusalKind)}
    assert list(kinds.values()) == list(REGISTRY.values())
    assert sorted(kinds.keys() - used) == []


def _used(tree: ast.Module) -> set[str]:
    """The names that a module uses, without those that it compares something with."""
    compared = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in compared}


def test_a_detail_of_its_own() -> None:
    assert Refusal(BAD_PATH).detail == BAD_PATH.detail
    assert Refusal(BAD_PATH, detail="here").detail == "here"


def test_the_reason_of_the_event() -> None:
    assert Refusal(BAD_PATH).reason == BAD_PATH.message
    assert Refusal(BAD_PATH, reason="because").reason == "because"


def test_numbers_and_their_units() -> None:
    assert [counted(number, "second") for number in (1, 2, 0.5, 1.0, 0)] == [
        "1 second",
        "2 seconds",
        "0.5 seconds",
        "1 second",
        "0 seconds",
    ]
