"""The sessions of organisations below `/tyk/org/keys`."""

from __future__ import annotations

from typing import Any

import pytest


def test_one_is_made_read_changed_listed_and_deleted(operator: Any) -> None:
    assert operator.json("POST", "/tyk/org/keys/o1", {"quota_max": 9, "is_inactive": True})["action"] == "added"
    assert operator.json("GET", "/tyk/org/keys/o1") == {"quota_max": 9, "is_inactive": True, "org_id": "o1"}
    changed = operator.json("PUT", "/tyk/org/keys/o1", {"quota_max": 3, "hmac_string": "s", "basic_auth_data": {"password": "p"}})
    assert changed == {"key": "o1", "status": "ok", "action": "modified"}
    assert operator.json("GET", "/tyk/org/keys/o1") == {"quota_max": 3, "org_id": "o1"}
    assert operator.json("PUT", "/tyk/org/keys/o2", {})["action"] == "added"
    assert operator.json("GET", "/tyk/org/keys") == {"keys": ["o1", "o2"]}
    assert operator.json("DELETE", "/tyk/org/keys/o1")["action"] == "deleted"
    for method in ("GET", "DELETE"):
        refused = operator.call(method, "/tyk/org/keys/o1")
        assert (refused.status_code, refused.json["message"], refused.json["code"]) == (404, "Org not found", "organisation-unknown")
    assert operator.gateway.published == ["organisations"] * 4


@pytest.mark.parametrize("kept", [True, False])
def test_its_quota_begins_again_when_asked(operator: Any, kept: bool) -> None:
    operator.json("POST", f"/tyk/org/keys/o1{'' if kept else '?reset_quota=1'}", {"quota_max": 9})
    assert operator.gateway.reset == ([] if kept else ["q:org:o1"])


def test_what_is_wrong_is_named(operator: Any) -> None:
    refused = operator.call("POST", "/tyk/org/keys/o1", {"quota_max": "nine"})
    assert (refused.status_code, refused.json["code"]) == (400, "invalid-organisation")
    assert operator.call("POST", "/tyk/org/keys/o%201", {}).status_code == 400
    assert operator.json("GET", "/tyk/org/keys") == {"keys": []}
