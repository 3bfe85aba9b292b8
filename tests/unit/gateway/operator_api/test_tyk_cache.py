"""`/tyk/cache`: who may purge what is kept of an API, and what is answered."""

from __future__ import annotations

from typing import Any


def test_purge(operator: Any, make_definition: Any) -> None:
    operator.json("POST", "/tyk/apis/", make_definition())
    assert operator.json("DELETE", "/tyk/cache/one") == {"status": "ok", "message": "cache invalidated"}
    assert operator.json("DELETE", "/tyk/cache/one/")["status"] == "ok"
    assert operator.gateway.purged == ["one", "one"]
    assert [(one["method"], one["route"]) for one in operator.json("GET", "/api/gatehouse/audit")["records"]][:1] == [
        ("DELETE", "/tyk/cache/<api_id>")
    ]


def test_what_cannot_be_purged(operator: Any, make_definition: Any) -> None:
    assert operator.json("DELETE", "/tyk/cache/none", status=404)["code"] == "api-unknown"
    operator.json("POST", "/tyk/apis/", make_definition())
    operator.gateway.valkey_away = True
    assert operator.json("DELETE", "/tyk/cache/one", status=503)["code"] == "cache-not-purged"
    assert operator.gateway.purged == []
