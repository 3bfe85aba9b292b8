"""What definitions of Tyk ask for and is not there yet: refused where it is asked for, nothing where it is switched off."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint, parse
from services.gateway.definitions.reader import Mistakes
from tests.unit.gateway.exchanges import document

VERSION = "/version_data/versions/Default"


def refused(**more: Any) -> dict[str, str]:
    with pytest.raises(Mistakes) as wrong:
        parse(document(**more))
    return dict(wrong.value.mistakes)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"graphql": {"enabled": True}}, "/graphql"),
        ({"custom_middleware_bundle": "bundle.zip"}, "/custom_middleware_bundle"),
        ({"definition": {"enabled": True, "key": "v", "versions": {"v2": "other"}}}, "/definition"),
        ({"external_oauth": {"enabled": True}}, "/external_oauth"),
        ({"auth": {"auth_header_name": "a", "validate_signature": True}}, "/auth/validate_signature"),
        ({"proxy": {**document()["proxy"], "service_discovery": {"use_discovery_service": True}}}, "/proxy/service_discovery"),
    ],
)
def test_what_is_asked_for(more: dict[str, Any], place: str) -> None:
    found = refused(**more)
    assert list(found) == [place]
    assert "not available yet" in found[place]


@pytest.mark.parametrize(
    "name",
    ["validate_request"],
)
def test_lists_of_paths(name: str) -> None:
    entry = {"path": "/a", "method": "GET", "enabled": True, "rate": 1, "add_headers": {"a": "b"}}
    version = {"use_extended_paths": True, "extended_paths": {name: [entry]}}
    assert list(refused(version=version)) == [f"{VERSION}/extended_paths/{name}"]
    for harmless in ([], None, [{**entry, "disabled": True}]):
        assert lint(parse(document(version={"use_extended_paths": True, "extended_paths": {name: harmless}}))) == []
    off = dict(lint(parse(document(version={**version, "use_extended_paths": False}))))
    assert off == {f"{VERSION}/extended_paths": "extended_paths has no effect without use_extended_paths"}


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
    found = parse(document(use_keyless=True, use_oauth2=True, auth={"validate_signature": True}, external_oauth={"enabled": True}))
    assert [warning.pointer for warning in lint(found)] == ["/use_keyless"]


def test_a_keyless_api_that_finds_keys_by_certificates() -> None:
    assert list(refused(use_keyless=True, auth={"use_certificate": True})) == ["/auth/use_certificate"]


@pytest.mark.parametrize(
    ("more", "place", "missing"),
    [
        ({"request_signing": {"is_enabled": True}}, "/request_signing", "signing"),
        ({"upstream_auth": {"enabled": True, "oauth": {"enabled": True}}}, "/upstream_auth", "authentication at the upstream"),
        ({"listen_port": 9000}, "/listen_port", "a port of one API"),
        ({"enable_proxy_protocol": True}, "/enable_proxy_protocol", "PROXY protocol"),
        ({"protocol": "tcp"}, "/protocol", "TCP services"),
        ({"protocol": "tls"}, "/protocol", "TCP services"),
        ({"protocol": "https"}, "/protocol", "TLS of one API"),
        ({"protocol": "smtp"}, "/protocol", "the protocol smtp"),
        ({"application_protocol": "mcp"}, "/application_protocol", "MCP"),
        ({"custom_middleware": {"pre": [{"name": "a"}], "driver": "goplugin"}}, "/custom_middleware/pre", "plug-ins in Go"),
        ({"custom_middleware": {"pre": [{"name": "a"}], "driver": "grpc"}}, "/custom_middleware/pre", "plug-ins by gRPC"),
        ({"custom_middleware": {"pre": [{"name": "a"}], "driver": "lua"}}, "/custom_middleware/pre", "plug-ins in Lua"),
        ({"custom_middleware": {"pre": [{"name": "a"}], "driver": "perl"}}, "/custom_middleware/pre", "the driver perl"),
        ({"custom_middleware_bundle": "b.zip"}, "/custom_middleware_bundle", "bundles of plug-ins"),
        ({"use_go_plugin_auth": True}, "/use_go_plugin_auth", "plug-in in Go"),
        (
            {"event_handlers": {"events": {"AuthFailure": [{"handler_name": "cp_dynamic_handler", "handler_meta": {"name": "f"}}]}}},
            "/event_handlers/events/AuthFailure/0/handler_name",
            "of plug-ins",
        ),
    ],
)
def test_what_would_be_missing_is_named(more: dict[str, Any], place: str, missing: str) -> None:
    found = refused(**more)
    assert list(found) == [place]
    assert missing in found[place]
    assert found[place].startswith("not available yet: ")


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("tyk://self/a", "round in circles"),
        ("tyk:///a", "id or the name of an API"),
        ("tyk://an api/a", "a space"),
        ("tyk://other/a?method=get", "upper case"),
        ("tyk://other/a?method=TRACE", "other than CONNECT and TRACE"),
        ("tyk://other/a?check_limits=1", "true or false"),
        ("tyk://other/a?loop_limit=21", "up to 20"),
        ("tyk://other/../a", "not a path"),
        ("tcp://h:1", "TCP services"),
        ("tls://h:1", "TCP services"),
        ("h2c://h", "HTTP/2"),
        ("grpc://h", "gRPC"),
        ("secrets://name", "addresses from secrets://"),
        ("file://name", "addresses from file://"),
        ("vault://name", "addresses from vault://"),
        ("ftp://h", "must begin with http:// or https://"),
        ("h:80/a", "must begin with http:// or https://"),
    ],
)
def test_targets_of_other_schemes(url: str, missing: str) -> None:
    found = refused(proxy={**document()["proxy"], "target_url": url})
    assert list(found) == ["/proxy/target_url"]
    assert missing in found["/proxy/target_url"]


def test_what_is_switched_off_by_a_switch_beside_it() -> None:
    off = {
        "pinned_public_keys": {"*": "id"}, "certificate_pinning_disabled": True,
        "upstream_certificates": {"*": "id"}, "upstream_certificates_disabled": True,
        "error_overrides": {"401": []}, "error_overrides_disabled": True,
        "response_processors": [{"name": "response_body_transform"}, {"name": "header_injector", "options": {"add_headers": {}}}],
    }  # fmt: skip
    assert lint(parse(document(**off))) == []
