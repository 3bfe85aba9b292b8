"""Warnings about definitions that are valid."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint, parse
from tests.unit.gateway.exchanges import definition, document, lists


def warned(**more: Any) -> dict[str, str]:
    """What is said, by place."""
    return dict(lint(definition(**more)))


def targets(*urls: str) -> dict[str, Any]:
    return {"proxy": {**document()["proxy"], "enable_load_balancing": True, "target_list": list(urls)}}


VERSION = "/version_data/versions/Default"


def sizes(limit: int) -> dict[str, Any]:
    return {"path": "^/a", "size_limit": limit}


def slow(path: str) -> dict[str, Any]:
    return {"path": path, "timeout": 9}


def reply(path: str) -> dict[str, Any]:
    return {"path": path, "method_actions": {"GET": {"action": "reply", "code": 200, "data": "{}"}}}


def test_a_sound_definition() -> None:
    assert warned() == {}
    assert warned(version=lists(["^/open$"], ["^/admin"], ["^/users/{id}"]), slug="x", tags=["a"], config_data={"any": "thing"}) == {}


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ({"later": 1}, "/later", "not known here"),
        ({"enable_mini_request_validation": True}, "/enable_mini_request_validation", "validate_json"),
        ({"tag_headers": ["x-team"]}, "/tag_headers", "tag_headers is kept, but"),
        ({"uptime_tests": {"poller_group": "a"}}, "/uptime_tests/poller_group", "not known here"),
        ({"version": {"later": {"a": "b"}}}, f"{VERSION}/later", "not known here"),
        (
            {"version": lists(extended=True, white=[{"path": "^/a$", "x/y": 1}])},
            f"{VERSION}/extended_paths/white_list/0/x~1y",
            "not known here",
        ),
        ({"name": ""}, "/name", "empty"),
        ({"use_keyless": True, "enable_batch_request_support": True}, "/enable_batch_request_support", "anybody"),
        ({"use_keyless": True, "auth": {"strip_auth_data": True}}, "/auth/strip_auth_data", "no effect"),
        ({"auth": {"auth_header_name": "a", "param_name": "b"}}, "/auth/param_name", "without use_param"),
        ({"auth": {"auth_header_name": "a", "cookie_name": "b"}}, "/auth/cookie_name", "without use_cookie"),
        ({"enable_ip_whitelisting": True}, "/allowed_ips", "every address is refused"),
        ({"use_keyless": True, "use_basic_auth": True}, "/use_keyless", "outranks use_basic_auth: the API is open to everybody"),
        ({"use_keyless": True, "use_openid": True}, "/use_keyless", "outranks use_openid"),
        ({"version": {"expires": "2020-01-01 00:00"}}, f"{VERSION}/expires", "has ended on 2020-01-01 00:00 UTC"),
        ({"expiration": "2020-01-01 00:00"}, "/expiration", "has ended"),
        (
            {"version": lists(black=["^/a", "/admin", "/b"])},
            f"{VERSION}/paths/black_list/1",
            "like 1 other pattern of this list: it also closes",
        ),
        ({"version": lists(white=["/users"])}, f"{VERSION}/paths/white_list/0", "it also opens /x/users; begin it with ^"),
        ({"version": lists(["^/open/"], ["^/open/secret"])}, f"{VERSION}/paths/black_list/0", "never decides: `^/open/`"),
        (
            {"version": {"use_extended_paths": True, "global_size_limit": 5, "extended_paths": {"size_limits": [sizes(9)]}}},
            f"{VERSION}/extended_paths/size_limits/0/size_limit",
            "refuses nothing: global_size_limit",
        ),
        (
            {"version": {"use_extended_paths": True, "extended_paths": {"size_limits": [{"disabled": True}, sizes(9), sizes(5)]}}},
            f"{VERSION}/extended_paths/size_limits/2",
            "(/version_data/versions/Default/extended_paths/size_limits/1) takes all",
        ),
        (
            {"version": {"use_extended_paths": True, "extended_paths": {"hard_timeouts": [{"path": "^/", "timeout": 1}, slow("^/a")]}}},
            f"{VERSION}/extended_paths/hard_timeouts/1",
            "never decides",
        ),
        (
            {"enable_ip_whitelisting": True, "allowed_ips": ["10.0.0.1"], "version": lists(extended=True, white=[reply("^/status")])},
            f"{VERSION}/extended_paths/white_list/0",
            "needs no key, unlike the rest of the API: every address in allowed_ips gets it",
        ),
        (
            {
                "enable_ip_blacklisting": True,
                "blacklisted_ips": ["10.0.0.1"],
                "version": lists(extended=True, ignored=[{"path": "^/a", "disabled": True}, reply("^/status")]),
            },
            f"{VERSION}/extended_paths/ignored/1",
            "every address that is not blocked gets it",
        ),
        ({"version": lists(white=["/"])}, f"{VERSION}/paths/white_list/0", "^/$"),
        ({"version": lists(black=["^/a$", ".*"])}, f"{VERSION}/paths/black_list/1", "matches every path"),
        ({"version": {"path_matching": "prefix", **lists(ignored=["/"])}}, f"{VERSION}/paths/ignored/0", "matches every path"),
        (
            {"version": lists(extended=True, white=[{"path": "^/a$", "method_actions": {}}])},
            f"{VERSION}/extended_paths/white_list/0",
            "no method",
        ),
    ],
)
def test_one_warning(more: dict[str, Any], place: str, said: str) -> None:
    found = warned(**more)
    assert list(found) == [place]
    assert said in found[place]


def test_zero_says_nothing() -> None:
    """As exports of Tyk hold it for every field that there is."""
    zeros: dict[str, Any] = {"a": False, "b": 0, "c": "", "d": [], "e": {}, "f": None, "g": {"h": {"i": 0.0, "j": []}}}
    assert warned(**{f"later_{name}": value for name, value in zeros.items()}) == {}
    assert list(warned(later={**zeros, "k": -1})) == ["/later"]


def test_nothing_is_asked_of_an_entry_that_is_switched_off() -> None:
    entry = {"path": "^/a$", "method_actions": {"GET": {"action": "no_action"}}, "disabled": True, "later": 1}
    assert warned(version=lists(extended=True, ignored=[entry])) == {}


@pytest.mark.parametrize("code", [204, 304])
def test_a_body_that_is_never_sent(code: int) -> None:
    entry = {"path": "^/a$", "method_actions": {"GET": {"action": "reply", "code": code, "data": "x"}}}
    assert "no body" in warned(version=lists(extended=True, ignored=[entry]))[f"{VERSION}/extended_paths/ignored/0/method_actions/GET"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://auth:80/",
        "http://10.1.2.3/",
        "http://[::1]/",
        "http://[fd00::1]/",
        "http://a.internal/",
        "https://api.example/",
    ],
)
def test_targets_that_stay_here_or_are_encrypted(url: str) -> None:
    assert warned(**targets(url)) == {}


@pytest.mark.parametrize("url", ["http://api.example/", "http://8.8.8.8/", "http://[2606:4700::1]/"])
def test_targets_that_get_keys_unencrypted(url: str) -> None:
    assert next(iter(warned(**targets("http://localhost/", url)).values())).endswith("unencrypted (http)")


def test_versions_that_are_never_used() -> None:
    versions = {"v1": {"name": "v1"}, "v2": {"name": "v2"}}
    assert "only `v1`" in warned(version_data={"not_versioned": True, "versions": versions})["/version_data/versions"]


def test_what_matches_a_part_is_no_warning() -> None:
    assert warned(version=lists(white=["^/$", "/a", "/{id}/x"], path_matching="exact")) == {}


def test_what_a_dashboard_writes_by_itself() -> None:
    """A whole definition as Tyk's Dashboards 3 to 5 export it, for an API that asks for a key and nothing else."""
    discovery = {"use_discovery_service": False, "query_endpoint": "", "use_nested_query": False, "data_path": "", "cache_timeout": 60}
    signature = {"algorithm": "", "header": "", "secret": "", "allowed_clock_skew": 0, "error_code": 0, "error_message": ""}
    section = {"use_param": False, "param_name": "", "use_cookie": False, "cookie_name": "", "disable_header": False, "name": "",
               "auth_header_name": "Authorization", "use_certificate": False, "validate_signature": False,
               "signature": signature}  # fmt: skip
    paths = {name: [] for name in ("ignored", "white_list", "black_list", "transform", "hard_timeouts", "url_rewrites", "track_endpoints",
                                   "do_not_track_endpoints", "go_plugin", "persist_graphql", "rate_limit")}  # fmt: skip
    version = {
        "name": "Default", "expires": "", "paths": {"ignored": [], "white_list": [], "black_list": []}, "use_extended_paths": True,
        "extended_paths": paths, "global_headers": {}, "global_headers_remove": [], "global_headers_disabled": True,
        "global_response_headers": {}, "global_response_headers_remove": [], "global_response_headers_disabled": True,
        "ignore_endpoint_case": False, "global_size_limit": 0, "global_size_limit_disabled": True, "override_target": "",
        "global_enforce_timeout": "0s", "global_enforce_timeout_disabled": True,
    }  # fmt: skip
    exported = {
        "id": "5f3f0c4fd3626eac273e46c1", "name": "Orders", "slug": "orders", "listen_port": 0, "protocol": "http", "api_id": "orders",
        "enable_proxy_protocol": False, "org_id": "5d67b96d767e02015ea84a6f", "use_keyless": False, "use_oauth2": False,
        "external_oauth": {"enabled": False, "providers": []}, "use_openid": False, "active": True, "internal": False,
        "openid_options": {"providers": [], "segregate_by_client": True}, "use_standard_auth": True, "auth": section,
        "oauth_meta": {"allowed_access_types": ["refresh_token"], "allowed_authorize_types": [], "auth_login_redirect": ""},
        "auth_configs": {"authToken": section, "jwt": section, "basic": section}, "use_basic_auth": False,
        "basic_auth": {"disable_caching": True, "cache_ttl": 60, "extract_from_body": False, "body_user_regexp": ""},
        "use_mutual_tls_auth": False, "client_certificates": [], "upstream_certificates": {}, "upstream_certificates_disabled": True,
        "pinned_public_keys": {}, "certificate_pinning_disabled": True, "enable_jwt": False, "use_go_plugin_auth": False,
        "enable_coprocess_auth": False, "custom_plugin_auth_enabled": False, "jwt_signing_method": "rsa", "jwt_source": "",
        "jwt_jwks_uris": None, "jwt_identity_base_field": "sub", "jwt_policy_field_name": "pol", "jwt_default_policies": [],
        "jwt_issued_at_validation_skew": 5, "jwt_skip_kid": True, "scopes": {"jwt": {"scope_claim_name": "scope"}, "oidc": {}},
        "idp_client_id_mapping_disabled": True, "notifications": {"shared_secret": "", "oauth_on_keychange_url": ""},
        "enable_signature_checking": False, "hmac_allowed_clock_skew": -1, "hmac_allowed_algorithms": [],
        "request_signing": {"is_enabled": False, "secret": "", "key_id": "", "algorithm": "", "header_list": []},
        "base_identity_provided_by": "", "definition": {"enabled": False, "name": "", "default": "", "location": "header",
        "key": "x-api-version", "strip_path": False, "strip_versioning_data": False, "url_versioning_pattern": "", "versions": {}},
        "version_data": {"not_versioned": True, "default_version": "", "versions": {"Default": version}},
        "uptime_tests": {"disabled": False, "check_list": [], "config": {"expire_utime_after": 0, "service_discovery": discovery,
        "recheck_wait": 30}}, "disable_rate_limit": False, "disable_quota": False, "custom_middleware_bundle": "",
        "proxy": {"preserve_host_header": False, "listen_path": "/orders/", "target_url": "https://orders.example/", "target_list": [],
        "disable_strip_slash": True, "strip_listen_path": True, "enable_load_balancing": False, "check_host_against_uptime_tests": True,
        "service_discovery": discovery, "transport": {"ssl_insecure_skip_verify": False, "ssl_ciphers": [], "ssl_min_version": 0,
        "ssl_max_version": 0, "ssl_force_common_name_check": False, "proxy_url": ""}},
        "custom_middleware": {"pre": [], "post": [], "post_key_auth": [], "auth_check": {"name": "", "path": "", "raw_body_only": False},
        "traffic_logs": {"disabled": False, "name": ""}, "response": [], "driver": "", "id_extractor": {"extract_from": "",
        "extract_with": "", "extractor_config": {}, "disabled": False}}, "custom_middleware_bundle_disabled": True,
        "cache_options": {"cache_timeout": 60, "enable_cache": True, "cache_all_safe_requests": False, "cache_response_codes": [],
        "enable_upstream_cache_control": False, "cache_control_ttl_header": "", "cache_by_headers": []}, "session_lifetime": 0,
        "session_lifetime_respects_key_expiration": False, "auth_provider": {"name": "", "storage_engine": "", "meta": {}},
        "session_provider": {"name": "", "storage_engine": "", "meta": {}}, "event_handlers": {"events": {}},
        "enable_batch_request_support": False, "enable_ip_whitelisting": False, "allowed_ips": [], "enable_ip_blacklisting": False,
        "blacklisted_ips": [], "ip_access_control_disabled": True, "dont_set_quota_on_create": False, "expire_analytics_after": 0,
        "response_processors": [], "CORS": {"enable": False, "max_age": 24, "allow_credentials": False, "debug": False,
        "allowed_origins": ["*"], "allowed_methods": ["GET"], "options_passthrough": False}, "domain": "", "domain_disabled": True,
        "certificates": [], "do_not_track": True, "enable_context_vars": True, "config_data": {}, "config_data_disabled": True,
        "tag_headers": [], "global_rate_limit": {"disabled": True, "rate": 0, "per": 0}, "strip_auth_data": False, "tags": [],
        "tags_disabled": True, "enable_detailed_recording": False, "graphql": {"enabled": False, "execution_mode": "proxyOnly",
        "version": "2", "schema": "", "playground": {"enabled": False, "path": ""}, "engine": {"field_configs": []}},
        "analytics_plugin": {}, "is_oas": False, "detailed_tracing": False, "upstream_auth": {"enabled": False, "basic_auth":
        {"enabled": False, "username": "", "header": {"enabled": False, "name": ""}}}, "error_overrides": {},
        "error_overrides_disabled": True,
    }  # fmt: skip
    assert lint(parse(exported)) == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"detailed_tracing": True}, "/detailed_tracing"),
    ],
)
def test_what_a_tyk_does_and_the_gateway_does_not(more: dict[str, Any], place: str) -> None:
    found = warned(**more)
    assert list(found) == [place]
    assert "does not serve it yet" in found[place]


def test_certificates_of_upstreams_that_are_not_checked() -> None:
    found = warned(proxy={**document()["proxy"], "transport": {"ssl_insecure_skip_verify": True}})
    assert list(found) == ["/proxy/transport/ssl_insecure_skip_verify"]
    assert "anybody between" in found["/proxy/transport/ssl_insecure_skip_verify"]


def test_uptime_tests_that_are_switched_off() -> None:
    assert warned(uptime_tests={"check_list": [{"url": "http://h/"}, {"url": ""}], "disabled": True, "later": 1}) == {}


def test_certificates_that_nobody_asks_for() -> None:
    assert "without use_mutual_tls_auth" in warned(client_certificates=["id"])["/client_certificates"]


def test_the_form_of_lists_that_does_not_count() -> None:
    both = {"paths": {"black_list": ["^/a$"]}, "extended_paths": {"black_list": [{"path": "^/b$"}]}}
    assert warned(version=both) == {f"{VERSION}/extended_paths": "extended_paths has no effect without use_extended_paths"}
    assert warned(version={**both, "use_extended_paths": True}) == {f"{VERSION}/paths": "paths has no effect with use_extended_paths"}
