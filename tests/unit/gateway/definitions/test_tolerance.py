"""Definitions as real people keep them: small ones of our own, one for each lesson of a set of public ones.

What a Tyk serves loads as it is. What would let in more than its author meant is a mistake, with its place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import interpret, lint
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistakes, read_json
from services.gateway.middleware import request_headers
from tests.unit.gateway.exchanges import ask, exchange, ports

FOLDER = Path(__file__).parent / "real_life"
ENVIRON = {"FRONTEND_URL": "http://frontend.internal:8080", "GATEWAY_ENV_ALLOW": "FRONTEND_URL"}
# What does not load: the places of its mistakes.
WRONG = {
    "keyless-and-certificates": ["/client_certificates/0"],
    "lists-in-the-wrong-place": ["/extended_paths"],
    "no-version": ["/version_data/versions", "/definition/key"],
    "white-list-of-everything": ["/version_data/versions/Default/extended_paths/white_list/0/path"],
}


def loaded(name: str) -> Definition:
    return interpret(read_json((FOLDER / f"{name}.json").read_bytes()), ENVIRON)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_what_loads_and_what_does_not(name: str) -> None:
    if name not in WRONG:
        found = loaded(name)
        assert (found.api_id, found.proxy.listen_path) == (name, f"/{name}/")
        return
    with pytest.raises(Mistakes) as wrong:
        loaded(name)
    assert [mistake.pointer for mistake in wrong.value.mistakes] == WRONG[name]


def test_what_a_dashboard_writes_by_itself_is_no_warning() -> None:
    """It asks for nothing: warnings that everybody gets are read by nobody."""
    assert lint(loaded("whole-export")) == []


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("balanced-by-names", ["http orders-1.internal:80", "http orders-2.internal:8081/v1", "https orders-3.internal:443"]),
        ("websocket", ["http echo.internal:9000/live"]),
        ("own-variable", ["http frontend.internal:8080"]),
    ],
)
def test_where_requests_go(name: str, targets: list[str]) -> None:
    assert [f"{one.scheme} {one.host}:{one.port}{one.path}" for one in loaded(name).proxy.targets] == targets


def test_only_a_list_of_targets_may_leave_out_the_scheme() -> None:
    """A single target without one goes nowhere in a Tyk."""
    raw: dict[str, Any] = json.loads((FOLDER / "balanced-by-names.json").read_text())
    raw["proxy"]["enable_load_balancing"] = False
    with pytest.raises(Mistakes, match="must begin with http"):
        interpret(raw)
    for wrong in ("", "tcp://h", "ftp://h", "user:pass@h"):
        raw["proxy"] |= {"enable_load_balancing": True, "target_list": [wrong]}
        with pytest.raises(Mistakes):
            interpret(raw)


def test_the_ends_of_versions() -> None:
    found = loaded("versions-by-date")
    assert [found.versions[name].expires is None for name in ("v1", "v2", "v3", "v4")] == [False, True, True, True]


def test_a_secure_websocket_is_https() -> None:
    raw = json.loads((FOLDER / "websocket.json").read_text())
    raw["proxy"]["target_url"] = "wss://echo.internal"
    [target] = interpret(raw).proxy.targets
    assert (target.scheme, target.port) == ("https", 443)


def test_a_transform_without_a_path_is_one_of_every_path() -> None:
    """It lets nobody in; an empty path of a white list would."""
    found = loaded("transform-of-every-path")
    [(place, message)] = lint(found)
    assert place == "/version_data/versions/Default/extended_paths/transform_headers/0"
    assert "every path" in message
    spec = found.spec(request_headers.Spec)
    assert spec is not None
    middleware = request_headers.build(spec, ports())
    asked = exchange("GET", "/api/a/b")
    assert ask(middleware, asked) is None
    assert (b"X-Asked-By", b"orders") in list(asked.sent_headers())
    raw = json.loads((FOLDER / "transform-of-every-path.json").read_text())
    raw["version_data"]["versions"]["Default"]["path_matching"] = "exact"
    with pytest.raises(Mistakes, match="path is empty"):
        interpret(raw)
