"""What definitions of Tyk ask for and is not there yet: refused where it is asked for, nothing where it is switched off."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.definitions.lint import lint
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.schema import parse
from tests.unit.gateway.exchanges import document

VERSION = "/version_data/versions/Default"


def refused(**more: Any) -> dict[str, str]:
    with pytest.raises(Mistakes) as wrong:
        parse(document(**more))
    return dict(wrong.value.mistakes)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"CORS": {"enable": True, "allowed_origins": ["*"]}}, "/CORS"),
        ({"cors": {"Enable": True}}, "/cors"),
        ({"graphql": {"enabled": True}}, "/graphql"),
        ({"internal": True}, "/internal"),
        ({"custom_middleware_bundle": "bundle.zip"}, "/custom_middleware_bundle"),
        ({"definition": {"enabled": True, "key": "v", "versions": {"v2": "other"}}}, "/definition"),
        ({"cache_options": {"enable_cache": True, "cache_all_safe_requests": True}}, "/cache_options"),
        ({"cache_options": {"enable_cache": True, "enable_upstream_cache_control": True}}, "/cache_options"),
        ({"external_oauth": {"enabled": True}}, "/external_oauth"),
        ({"auth": {"auth_header_name": "a", "use_certificate": True}}, "/auth/use_certificate"),
        ({"auth": {"auth_header_name": "a", "validate_signature": True}}, "/auth/validate_signature"),
        ({"proxy": {**document()["proxy"], "service_discovery": {"use_discovery_service": True}}}, "/proxy/service_discovery"),
        ({"version": {"global_headers": {"a": "b"}}}, f"{VERSION}/global_headers"),
        ({"version": {"global_headers_remove": ["a"]}}, f"{VERSION}/global_headers_remove"),
        ({"version": {"override_target": "http://other/"}}, f"{VERSION}/override_target"),
    ],
)
def test_what_is_asked_for(more: dict[str, Any], place: str) -> None:
    found = refused(**more)
    assert list(found) == [place]
    assert "not available yet" in found[place]


@pytest.mark.parametrize(
    "name",
    ["transform", "transform_response", "transform_headers", "transform_response_headers", "url_rewrites", "method_transforms",
     "validate_json", "validate_request", "circuit_breakers", "cache", "virtual", "internal", "rate_limit"],
)  # fmt: skip
def test_lists_of_paths(name: str) -> None:
    entry = {"path": "/a", "method": "GET", "enabled": True, "rate": 1, "add_headers": {"a": "b"}}
    version = {"use_extended_paths": True, "extended_paths": {name: [entry]}}
    assert list(refused(version=version)) == [f"{VERSION}/extended_paths/{name}"]
    for harmless in ([], None, [{**entry, "disabled": True}]):
        assert lint(parse(document(version={"use_extended_paths": True, "extended_paths": {name: harmless}}))) == []
    assert lint(parse(document(version={**version, "use_extended_paths": False}))) == [], "then extended_paths do not count"


def test_what_is_switched_off_is_neither_mistake_nor_warning() -> None:
    off = {
        "CORS": {"enable": False, "allowed_origins": ["*"], "max_age": 24},
        "cache_options": {"enable_cache": True, "cache_timeout": 60, "cache_all_safe_requests": False},
        "graphql": {"enabled": False, "schema": ""},
        "external_oauth": {"enabled": False, "providers": []},
        "internal": False,
        "custom_middleware_bundle": "",
        "definition": {"enabled": False, "name": "", "default": "", "versions": {}},
        "version": {"global_headers": {}, "global_headers_remove": [], "override_target": ""},
        "proxy": {**document()["proxy"], "service_discovery": {"use_discovery_service": False, "query_endpoint": ""}},
    }
    assert lint(parse(document(**off))) == []


@pytest.mark.parametrize(
    "more",
    [
        {"version": {"global_headers": {"a": "b"}, "global_headers_remove": ["c"], "global_headers_disabled": True}},
        {"version": {"global_response_headers": {"a": "b"}, "global_response_headers_disabled": True}},
        {"version": {"global_headers": {}, "global_headers_disabled": True}},
        {"custom_middleware": {"pre": [{"name": "a", "path": "a.js", "disabled": True}]}},
        {"custom_middleware": {"auth_check": {"name": "a", "disabled": True}}},
        {"custom_middleware": {"auth_check": {"name": "", "path": "", "disabled": False}}},
    ],
)
def test_switches_of_their_own(more: dict[str, Any]) -> None:
    assert lint(parse(document(**more))) == []


@pytest.mark.parametrize(
    ("name", "nothing", "something"),
    [
        ("validate_request", {"enabled": False}, {"enabled": True}),
        ("rate_limit", {"rate": 0, "per": 0}, {"rate": 1, "per": 1}),
        ("transform_headers", {"add_headers": {}, "delete_headers": []}, {"add_headers": {}, "delete_headers": ["a"]}),
        ("transform_response_headers", {"add_headers": {}, "delete_headers": None}, {"add_headers": {"a": "b"}}),
    ],
)
def test_entries_that_ask_for_nothing(name: str, nothing: dict[str, Any], something: dict[str, Any]) -> None:
    def version(*entries: dict[str, Any]) -> dict[str, Any]:
        return {"use_extended_paths": True, "extended_paths": {name: [{"path": "/a", "method": "GET", **one} for one in entries]}}

    assert lint(parse(document(version=version(nothing)))) == []
    assert list(refused(version=version(nothing, something))) == [f"{VERSION}/extended_paths/{name}"]


@pytest.mark.parametrize("name", ["CORS", "cache_options", "graphql"])
def test_wrong_types(name: str) -> None:
    assert list(refused(**{name: "yes"})) == [f"/{name}"]
    assert refused(CORS={"enable": "yes"}) == {"/CORS/enable": "must be true or false, not a string"}


def test_a_keyless_api_checks_nobody_anyway() -> None:
    found = parse(document(use_keyless=True, use_oauth2=True, auth={"use_certificate": True}, external_oauth={"enabled": True}))
    assert lint(found) == []
