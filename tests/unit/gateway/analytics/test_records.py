"""The record of a request: what it says, and what it never says."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.analytics.detail import LARGEST, head_of
from services.gateway.analytics.paths import grouped
from services.gateway.analytics.record import record_of
from services.gateway.compiler import broken_api, inactive_api, lint, parse
from services.gateway.keys.model import Key
from tests.unit.gateway.analytics.making import KEEP_S, NOON, api, record
from tests.unit.gateway.exchanges import definition, document, exchange

SECRET = "gh_acc_" + "a" * 49


def noted(path: str, relative: str, **changes: Any) -> Any:
    return (NOON, api(**changes), None, "GET", path, relative, "", 200, 0.002, 0, "")


def test_what_it_says() -> None:
    key = Key(id="k1", alias="Ada", tags=("a", "b"), session={"oauth_client_id": "c1"})
    found = record_of((NOON + 0.25, api(name="Api"), key, "POST", "/api/users/7", "/users/7", "Default", 503, 0.0125, 12, ""), KEEP_S)
    assert found._asdict() == {
        "at": 1_800_014_400_250,
        "expires": 1_800_014_400 + KEEP_S,
        "org_id": "acme",
        "api_id": "api",
        "api_name": "Api",
        "version": "Non Versioned",
        "key_id": "k1",
        "alias": "Ada",
        "tags": '["a", "b"]',
        "oauth_id": "c1",
        "method": "POST",
        "path": "/users/{id}",
        "raw_path": "/api/users/7",
        "code": 503,
        "request_us": 12_500,
        "content_length": 12,
        "user_agent": "",
        "raw_request": "",
    }


def test_the_version() -> None:
    versions = {"not_versioned": False, "versions": {"v1": {"name": "v1"}}}
    of = api(version_data=versions, definition={"location": "header", "key": "v"})
    assert (record(of=of, version="v1").version, record(of=of).version) == ("v1", "Non Versioned")


def test_a_tunnel_has_no_time() -> None:
    assert record(code=101, ms=9e6).request_us == 0


def test_a_definition_only_shortens_how_long_it_is_kept() -> None:
    assert record(of=api(expire_analytics_after=60)).expires == NOON + 60
    assert record(of=api(expire_analytics_after=10**9)).expires == NOON + KEEP_S
    assert record(of=api(expire_analytics_after=0)).expires == NOON + KEEP_S


@pytest.mark.parametrize(
    ("path", "relative", "shown", "below"),
    [
        (f"/api/x/{SECRET}", f"/x/{SECRET}", "/api/x/gh_acc_***", "/x/gh_acc_***"),
        ("/device/token/s3cret", "/s3cret", "/device/token/***", "/***"),
        ("/a/device/token/s3cret/now", "/device/token/s3cret/now", "/a/device/token/***/now", "/device/token/***/now"),
        (f"/{SECRET}/7", "/7", "/gh_acc_***/7", "/***"),
    ],
)
def test_secrets_of_the_house_in_a_path_are_masked(path: str, relative: str, shown: str, below: str) -> None:
    found = record_of(noted(path, relative), KEEP_S)
    assert (found.raw_path, found.path) == (shown, below)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/", "/"),
        ("/users/42/orders/7", "/users/{id}/orders/{id}"),
        ("/users/0b5a9d3c-0f1a-4c6e-9a53-2f6f4f0a8d11/", "/users/{uuid}/"),
        ("/items/507f1f77bcf86cd799439011", "/items/{id}"),
        ("/deadbeefdeadbeef", "/deadbeefdeadbeef"),
        ("/v1/users", "/v1/users"),
        ("/" + "x" * 999, "/" + "x" * 255),
    ],
)
def test_paths_of_one_endpoint(path: str, endpoint: str) -> None:
    assert grouped(path) == endpoint


def test_detail_shows_no_header_that_may_hold_a_secret() -> None:
    sent = [("Host", "h"), ("X-Key", "s3cret"), ("Authorization", "Bearer s3cret"), ("Cookie", "s=s3cret"), ("User-Agent", f"a {SECRET}")]
    head = head_of(exchange("POST", "/api/x?token=s3cret", sent), "/api/x")
    assert head.split("\r\n") == [
        "POST /api/x HTTP/1.1",
        "Host: h",
        "X-Key: ***",
        "Authorization: ***",
        "Cookie: ***",
        "User-Agent: a gh_acc_***",
    ]
    found = record_of((NOON, api(), None, "POST", "/api/x", "/x", "", 200, 0.1, 0, head), KEEP_S)
    assert (found.user_agent, found.raw_request) == ("a gh_acc_***", head)


def test_detail_is_bounded() -> None:
    head = head_of(exchange(headers=[("User-Agent", "a" * 2000), ("Accept", "b" * 2000), ("Host", "c" * 2000)]), "/" * 2048)
    assert len(head) <= LARGEST


def test_what_a_definition_says() -> None:
    plain, quiet = api(), api(do_not_track=True, enable_detailed_recording=True)
    assert (plain.tracked, plain.detailed_recording) == (True, False)
    assert (quiet.tracked, quiet.detailed_recording) == (False, True)


def test_what_stands_in_for_an_api_is_not_tracked_either() -> None:
    raw = document(do_not_track=True, expire_analytics_after=60)
    inactive, broken = inactive_api(parse(raw), 1), broken_api(raw, 1)
    assert broken is not None
    for one in inactive, broken:
        assert (one.tracked, one.expire_analytics_after) == (False, 60)
    assert inactive_api(definition(), 1).tracked


def test_what_is_not_recorded_is_said() -> None:
    assert "/enable_detailed_recording" in [warning.pointer for warning in lint(definition(enable_detailed_recording=True))]
    assert "/do_not_track" not in [warning.pointer for warning in lint(definition(do_not_track=True))]
