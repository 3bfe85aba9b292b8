"""What single keys may use, over two workers: rates of single paths, and events at shares of their quotas; and who was seen last."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

TOLD_AT = {"handler_name": "eh_web_hook_handler", "handler_meta": {"method": "POST", "event_timeout": 3600}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def keyed(name: str, odd_upstream: OddUpstream, receiver: Receiver, **more: Any) -> dict[str, Any]:
    handler = {**TOLD_AT, "handler_meta": {**TOLD_AT["handler_meta"], "target_path": f"{receiver.url}/hook"}}  # type: ignore[dict-item]
    events = {"events": {"TriggerExceeded": [handler]}}
    return definition(name, f"{odd_upstream.url}/", use_keyless=False, event_handlers=events, **more)


@pytest.fixture
def pair(odd_upstream: OddUpstream, receiver: Receiver, valkey: Valkey, tmp_path: Path) -> Iterator[Gateway]:
    """Two workers."""
    apis = [keyed("keyed", odd_upstream, receiver), keyed("owned", odd_upstream, receiver, org_id="acme")]
    with gateway(tmp_path, apis, {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}) as running:
        yield running


def statuses(running: Gateway, secret: str, times: int, path: str = "/keyed/a") -> Counter[int]:
    """Each request on a connection of its own, eight at a time."""

    def one(_: int) -> int:
        with RawClient(running.port) as client:
            return client.get(path, f"Authorization: {secret}".encode()).status

    with ThreadPoolExecutor(8) as threads:
        return Counter(threads.map(one, range(times)))


def new_key(running: Gateway, api: str = "keyed", right: dict[str, Any] | None = None, **session: Any) -> str:
    rights = {api: {"api_id": api, "versions": ["Default"], **(right or {})}}
    status, made = running.operator("POST", "/api/keys", {"access_rights": rights, **session})
    assert status == 200, made
    return str(made["key_id"])


def test_shares_of_quotas_and_rates_of_paths_are_exact_over_workers(pair: Gateway, receiver: Receiver) -> None:
    shares = {"monitor": {"trigger_limits": [50, 100]}}
    key = new_key(pair, quota_max=20, quota_renewal_rate=3600, **shares)
    assert statuses(pair, key, 40) == {200: 20, 403: 20}
    assert pair.operator("PUT", "/tyk/org/keys/acme", {"quota_max": 10, "quota_renewal_rate": 3600, **shares})[0] == 200
    assert statuses(pair, new_key(pair, "owned"), 20, "/owned/a") == {200: 10, 403: 10}
    rates = {"endpoints": [{"path": "^/a$", "methods": [{"name": "GET", "limit": {"rate": 7, "per": 3600}}]}]}
    slow = new_key(pair, right=rates)
    assert statuses(pair, slow, 20) == {200: 7, 429: 13}
    assert statuses(pair, slow, 9, "/keyed/b") == {200: 9}
    wait_until(lambda: len(receiver.calls) >= 4, 30)
    said = [json.loads(call.body) for call in receiver.calls]
    assert {(one["event"], one["message"]) for one in said} == {("TriggerExceeded", "Quota trigger reached")}
    id = pair.operator("GET", f"/api/keys/{key}")[1]["details"]["id"]
    assert Counter((one["key"], one["trigger_limit"]) for one in said) == Counter(
        [(id, "50"), (id, "100"), ("acme", "50"), ("acme", "100")]
    )


def test_who_was_seen_last(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """Keys that are found by a password, by a signature and through a policy are noted like all others."""
    apis = [
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False),
        definition("users", f"{odd_upstream.url}/", use_keyless=False, use_basic_auth=True),
        definition("signed", f"{odd_upstream.url}/", use_keyless=False, enable_signature_checking=True),
    ]
    with gateway(tmp_path, apis) as running:
        running.operator("POST", "/tyk/policies", {"id": "gold", "access_rights": {"keyed": {"versions": ["Default"]}}})
        of_policy = running.operator("POST", "/api/keys", {"apply_policies": ["gold"]})[1]
        rights = {"access_rights": {name: {"versions": ["Default"]} for name in ("users", "signed")}}
        user = running.operator("POST", "/api/apis/keys/basic/zoe", {**rights, "basic_auth_data": {"password": "pass phrase"}})[1]
        signer = running.operator("POST", "/api/keys", {**rights, "hmac_enabled": True})[1]
        date = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        signature = base64.b64encode(hmac.digest(signer["data"]["hmac_string"].encode(), f"date: {date}".encode(), "sha256")).decode()
        signed = f'Signature keyId="{signer["key_id"]}",algorithm="hmac-sha256",signature="{signature}"'
        pair = base64.b64encode(b"zoe:pass phrase").decode()
        with RawClient(running.port) as client:
            assert client.get("/keyed/a", f"Authorization: {of_policy['key_id']}".encode()).status == 200
            for _ in range(2):  # the second time the password is remembered
                assert client.get("/users/a", f"Authorization: Basic {pair}".encode()).status == 200
            assert client.get("/signed/a", f"Authorization: {signed}".encode(), f"Date: {date}".encode()).status == 200

        def all_noted() -> bool:
            details = running.operator("GET", "/api/keys")[1]["data"]["details"]
            return {one["id"] for one in details if one["last_used_at"]} == {one["id"] for one in (of_policy, user, signer)}

        wait_until(all_noted, 60, "the last use of all three")
