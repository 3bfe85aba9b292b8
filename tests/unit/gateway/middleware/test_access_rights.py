"""Which APIs, versions and paths a key may use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.gateway.keys.model import Key
from services.gateway.middleware import access_rights
from services.gateway.refusals import ACCESS_DENIED, RESOURCE_DENIED
from tests.unit.gateway.exchanges import ask, built, exchange, make_key, ports, refusal

VERSIONS = {"versions": {"v1": {"name": "v1"}, "v2": {"name": "v2"}}}
PLACING = {"location": "header", "key": "x-version"}


def rule(**more: Any) -> Any:
    return built(access_rights, ports(), **more)


def key(*allowed_urls: Any, versions: tuple[str, ...] = ("Default",)) -> Key:
    return make_key(access_rights={"api": {"api_id": "api", "versions": list(versions), "allowed_urls": list(allowed_urls)}})


def test_keyless_apis_have_no_rights_to_check() -> None:
    assert rule(use_keyless=True) is None


@pytest.mark.parametrize("session", [{}, {"access_rights": None}, {"access_rights": {}}])
def test_a_key_without_rights_opens_everything(session: dict[str, Any]) -> None:
    """Tyk's master key."""
    assert ask(rule(), exchange(key=make_key(**session))) is None


def test_an_access_token_without_rights_opens_only_the_api_that_issued_it() -> None:
    """Its policy may have lost them."""
    assert ask(rule(), exchange(key=replace(make_key(), issued_by="api"))) is None
    refusal(rule(), exchange(key=replace(make_key(), issued_by="other")), ACCESS_DENIED)


def test_rights_to_other_apis_do_not_count() -> None:
    refusal(rule(), exchange(key=make_key(access_rights={"other": {"versions": ["Default"]}})), ACCESS_DENIED)


def test_versions_count_where_an_api_has_versions() -> None:
    versioned = rule(version_data=VERSIONS, definition=PLACING)
    one = key(versions=("v1",))
    assert ask(versioned, exchange(key=one, version="v1")) is None
    refusal(versioned, exchange(key=one, version="v2"), ACCESS_DENIED)
    refusal(versioned, exchange(key=key(versions=()), version="v1"), ACCESS_DENIED)
    assert ask(rule(), exchange(key=key(versions=("other",)))) is None, "not_versioned: as in Tyk any will do"


def test_a_refusal_says_whether_the_api_or_the_version_is_missing() -> None:
    versioned = rule(version_data=VERSIONS, definition=PLACING)
    stranger = refusal(versioned, exchange(key=make_key(access_rights={"other": {"versions": ["v2"]}}), version="v2"), ACCESS_DENIED)
    assert stranger.detail == "The key is known, but its access rights do not name this API."
    older = refusal(versioned, exchange(key=key(versions=("v1",)), version="v2"), ACCESS_DENIED)
    assert older.detail == "The key's access rights to this API do not name its version `v2`."


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/api/users", True),
        ("POST", "/api/users", False),
        ("GET", "/api/users/7/posts", True),
        ("GET", "/api/orders/7", True),
        ("DELETE", "/api/orders/7", True),
        ("GET", "/api/orders/7/items", False),
        ("GET", "/api/", False),
        ("GET", "/api/orders%2F7", False),
        ("GET", "/api/users%2F..%2Fadmin", False),
        ("GET", "/api/users/a%2Fb", True),
        ("GET", "/api/users%5C..%5Cadmin", False),
        ("GET", "/api/users%2F..%5Cadmin", False),
    ],
)
def test_paths_and_methods(method: str, target: str, allowed: bool) -> None:
    rights = key({"url": "^/users", "methods": ["GET"]}, {"url": "^/orders/{id}$", "methods": ["GET", "DELETE"]})
    request = exchange(method, target, key=rights)
    if allowed:
        assert ask(rule(), request) is None
    else:
        refusal(rule(), request, RESOURCE_DENIED)


@pytest.mark.parametrize(
    "entry", [{"url": "(", "methods": ["GET"]}, {"methods": ["GET"]}, {"url": "/"}, "text", {"url": 5, "methods": ["GET"]}]
)
def test_an_entry_that_cannot_be_read_allows_nothing(entry: Any) -> None:
    refusal(rule(), exchange(key=key(entry)), RESOURCE_DENIED)
    assert ask(rule(), exchange(key=key(entry, {"url": "/", "methods": ["GET"]}))) is None


def test_an_edited_key_is_judged_by_its_new_rights() -> None:
    same = rule()
    assert ask(same, exchange(target="/api/a", key=key({"url": "/a", "methods": ["GET"]}))) is None
    refusal(same, exchange(target="/api/a", key=key({"url": "/b", "methods": ["GET"]})), RESOURCE_DENIED)
    assert ask(same, exchange(target="/api/a", key=key())) is None


def test_more_keys_than_are_remembered() -> None:
    same = rule()
    many = [
        make_key(str(number), access_rights={"api": {"allowed_urls": [{"url": f"^/{number}$", "methods": ["GET"]}]}})
        for number in range(4100)
    ]
    for number in (0, *range(4100), 0):
        assert ask(same, exchange(target=f"/api/{number}", key=many[number])) is None
    assert len(same._known) <= 4096
