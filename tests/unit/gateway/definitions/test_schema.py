"""Tyk's JSON in and out: what every field becomes, every mistake at its place, and nothing that opens an API by accident."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.compiler import compile_api, interpret, lint, parse, read
from services.gateway.definitions.model import WEBHOOK, Places, ProxyTimeouts, Way
from services.gateway.definitions.reader import Mistakes, read_json
from services.gateway.middleware import auth_key, ip_filter, quota, rate_limit
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import document, ports

ROOT = Path(__file__).parents[4]


def mistakes(raw: dict[str, Any]) -> dict[str, str]:
    """What is said of a document, by place."""
    with pytest.raises(Mistakes) as wrong:
        parse(raw)
    return dict(wrong.value.mistakes)


def proxy(**more: Any) -> dict[str, Any]:
    return {"proxy": {**document()["proxy"], **more}}


def hook(**meta: Any) -> dict[str, Any]:
    return events(AuthFailure=[{"handler_name": WEBHOOK, "handler_meta": {"target_path": "http://hooks.example/", **meta}}])


def events(**handlers: Any) -> dict[str, Any]:
    return {"event_handlers": {"events": handlers}}


def test_everything_that_is_absent_has_its_default() -> None:
    found = parse(document())
    assert (found.id, found.org_id, found.domain) == ("", "", "")
    assert not (found.use_keyless or found.enable_batch_request_support)
    assert found.spec(quota.Spec) == quota.Spec(charged=True, api_id="api")
    assert found.spec(rate_limit.Spec) == rate_limit.Spec("api", of_key=True, overall=None, before_quota=True)
    assert found.spec(auth_key.Spec) == auth_key.Spec("Api", Way(Places("authorization")))
    assert found.active
    assert not parse(document(proxy={"listen_path": "/a/", "target_url": "http://h/"})).proxy.strip_listen_path
    assert found.spec(ip_filter.Spec) is None
    assert found.proxy.timeouts == ProxyTimeouts()
    assert (found.error_template, found.error_overrides, found.event_handlers) == (None, {}, {})
    assert found.unversioned().name == "Default"


def test_what_goes_in_comes_out() -> None:
    raw = document(tags=["a"], unknown={"kept": [1, None]}, **proxy(preserve_host_header=True))
    assert parse(raw).raw == raw
    assert parse(read_json(json.dumps(raw))).raw == raw


def test_every_mistake_is_named_at_once() -> None:
    found = mistakes(
        {
            "api_id": "",
            "ACTIVE": "yes",
            "auth": {"auth_header_name": "a b"},
            "version_data": {"versions": {"a/b": {"name": "x", "expires": "soon"}}, "default_version": "v9"},
            "definition": {"location": "body", "key": "v"},
            "proxy": {"listen_path": "x", "target_url": "ftp://h"},
            "enable_ip_whitelisting": True,
            "allowed_ips": ["10.0.0.1", "nobody", 5],
        }
    )
    assert sorted(found) == [
        "/ACTIVE",
        "/allowed_ips/1",
        "/allowed_ips/2",
        "/api_id",
        "/auth/auth_header_name",
        "/definition/location",
        "/proxy/listen_path",
        "/proxy/target_url",
        "/version_data/default_version",
        "/version_data/versions/a~1b/expires",
    ]


@pytest.mark.parametrize("raw", [{}, {"proxy": 5}, {"version_data": None}, document(version_data={"versions": {}})])
def test_an_api_needs_a_place_a_target_and_a_version(raw: dict[str, Any]) -> None:
    found = mistakes(raw)
    assert set(found) & {"/proxy/listen_path", "/version_data/versions"}


@pytest.mark.parametrize(
    ("middleware", "place"),
    [
        ({"pre": [{"name": "a", "path": "a.so"}], "driver": "goplugin"}, "pre"),
        ({"post": [{"path": "a.js"}]}, "post/0/name"),
        ({"post": [{"name": "a b", "path": "a.js"}]}, "post/0/name"),
        ({"post_key_auth": [{"name": "a"}]}, "post_key_auth/0/path"),
        ({"response": [{"name": "a"}]}, "response/0/path"),
        ({"response": [{"name": "a", "path": "a.so"}], "driver": "goplugin"}, "response"),
        ({"auth_check": {"name": "a", "path": "a.js"}}, "auth_check"),
        ({"auth_check": {"name": "a"}, "driver": "grpc"}, "auth_check"),
        ({"auth_check": [1]}, "auth_check"),
        ({"post": [{"name": "a/b"}], "driver": "python"}, "post/0/name"),
        ({"post": [{"code": "YQ=="}], "driver": "python"}, "post/0/name"),
        ({"pre": {"name": "a"}}, "pre"),
    ],
)
def test_requests_do_not_pass_without_a_middleware_that_is_asked_for(middleware: dict[str, Any], place: str) -> None:
    assert list(mistakes(document(custom_middleware=middleware))) == [f"/custom_middleware/{place}"]


def test_a_middleware_that_does_nothing_is_no_mistake() -> None:
    empty = {"pre": [], "post": None, "response": [], "auth_check": {"name": "", "path": "", "require_session": False}, "driver": ""}
    assert lint(parse(document(custom_middleware=empty))) == []


@pytest.mark.parametrize(("given", "active"), [({}, True), ({"active": None}, True), ({"active": True}, True), ({"active": False}, False)])
def test_only_false_switches_an_api_off(given: dict[str, Any], active: bool) -> None:
    raw = {name: value for name, value in document().items() if name != "active"}
    assert parse({**raw, **given}).active is active


def test_the_end_of_the_api_is_the_end_of_its_versions() -> None:
    versions = {"a": {"expires": "1970-01-03 00:00"}, "b": {"expires": "1970-01-01 00:01"}, "c": {}}
    found = parse(document(expiration="1970-01-02 00:00", version_data={"not_versioned": True, "versions": versions}))
    assert {name: version.expires for name, version in found.versions.items()} == {"a": 86_400, "b": 60, "c": 86_400}
    assert list(mistakes(document(expiration="soon"))) == ["/expiration"]
    assert "/expiration" in mistakes(document(expiration="soon", version_data={"versions": {}})), "also without versions"


def test_a_domain_may_carry_a_port() -> None:
    assert parse(document(domain="Api.example:8443")).domain == "api.example"
    for wrong in ("api.example:x", "api.example/a", ":80"):
        assert list(mistakes(document(domain=wrong))) == ["/domain"]


@pytest.mark.parametrize("path", ["/{tenant}", "/{a}/b/{c}/", "/v1/{x.y-z_1}/"])
def test_a_listen_path_may_have_named_segments(path: str) -> None:
    assert parse(document(**proxy(listen_path=path))).proxy.listen_path.rstrip("/") == path.rstrip("/")


@pytest.mark.parametrize("path", ["/{id:[0-9]+}/", "/a{b}/", "/{a}b/", "/{}/", "/{a/", "/a}/", "/{a}//b/", "/{a}/../b/", "/{a}/%41/"])
def test_what_a_named_segment_is_not(path: str) -> None:
    assert list(mistakes(document(**proxy(listen_path=path)))) == ["/proxy/listen_path"]


def test_targets() -> None:
    several = parse(document(**proxy(enable_load_balancing=True, target_list=["http://a/", "https://b:1/x"], target_url="")))
    assert [(target.host, target.port, target.path) for target in several.proxy.targets] == [("a", 80, ""), ("b", 1, "/x")]
    one = parse(document(**proxy(enable_load_balancing=False, target_list=["nonsense"])))
    assert [target.host for target in one.proxy.targets] == ["10.0.0.1"]
    assert list(mistakes(document(**proxy(enable_load_balancing=True)))) == ["/proxy/target_list"]
    assert list(mistakes(document(**proxy(enable_load_balancing=True, target_list=["http://a/", "ftp://b", "http://h/%zz"])))) == [
        "/proxy/target_list/1",
        "/proxy/target_list/2",
    ]


def test_times() -> None:
    assert parse(document(**proxy(timeouts={"connect": 0.5, "first_byte": 75}))).proxy.timeouts == ProxyTimeouts(0.5, 75.0, 60.0)
    assert sorted(mistakes(document(**proxy(timeouts={"connect": 0, "first_byte": -1, "idle": 1e9})))) == [
        "/proxy/timeouts/connect",
        "/proxy/timeouts/first_byte",
        "/proxy/timeouts/idle",
    ]


def test_headers_and_trailers_that_go_on_all_the_same() -> None:
    found = parse(document(**proxy(pass_headers=["X_Api_Key", "Proxy"], pass_trailers=["X-Sum"]))).proxy
    assert (found.pass_headers, found.pass_trailers) == (frozenset({b"x_api_key", b"proxy"}), frozenset({b"x-sum"}))
    assert parse(document()).proxy.pass_headers == parse(document()).proxy.pass_trailers == frozenset()


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("pass_headers", "X-Plain"),
        ("pass_headers", "Content_Length"),
        ("pass_headers", "transfer_encoding"),
        ("pass_headers", "X_Forwarded_For"),
        ("pass_headers", "a b"),
        ("pass_trailers", "Content-Length"),
        ("pass_trailers", "Set_Cookie"),
        ("pass_trailers", "a:"),
    ],
)
def test_names_that_must_not_go_on(field: str, name: str) -> None:
    (pointer,) = mistakes(document(**proxy(**{field: [name]})))
    assert pointer == f"/proxy/{field}/0"


def test_domains() -> None:
    assert parse(document(domain="API.Example.")).domain == "api.example"
    assert parse(document(domain="nonsense!", domain_disabled=True)).domain == ""
    assert list(mistakes(document(domain="a/b"))) == ["/domain"]


@pytest.mark.parametrize("id", ["a" * 65, "a/b", "ü", "a b"])
def test_ids(id: str) -> None:
    assert list(mistakes(document(id=id))) == ["/id"]
    assert parse(document(id="54b53d3aeba6db5c35000002")).id == "54b53d3aeba6db5c35000002"


@pytest.mark.parametrize("file", sorted((ROOT / "deploy" / "apis").glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_are_sound(file: Path) -> None:
    raw = json.loads(file.read_text())
    environ = {f"UPSTREAM_{name}": "http://127.0.0.1:9" for name in ("AUTH", "SESSIONS", "TOKENS", "DEVICES", "MOBILITY", "ECHO")}
    found = interpret(raw.get("api_definition", raw), environ)
    outside = replace(ports(), scripts=Scripts(ROOT / "deploy" / "middleware"))
    assert compile_api(found, outside, 1).listen_path == found.proxy.listen_path


# Every place of a document that has nearly all fields takes any JSON value without another end than mistakes.
WHOLE: dict[str, Any] = document(
    version={
        "expires": "2030-01-01 00:00",
        "use_extended_paths": True,
        "path_matching": "exact",
        "global_size_limit": 5,
        "extended_paths": {
            "ignored": [{"path": "/a", "method_actions": {"GET": {"action": "reply", "code": 200, "data": "x", "headers": {"a": "b"}}}}],
            "hard_timeouts": [{"path": "/a", "method": "GET", "timeout": 5}],
            "size_limits": [{"path": "/a", "method": "GET", "size_limit": 5}],
            "transform_headers": [{"path": "/a", "method": "GET", "add_headers": {"a": "$tyk_meta.b"}, "delete_headers": ["c"]}],
            "transform_response_headers": [{"path": "/a", "add_headers": {"a": "b"}, "delete_headers": ["c"]}],
            "method_transforms": [{"path": "/a", "method": "GET", "to_method": "POST"}],
            "url_rewrites": [
                {
                    "path": "/a",
                    "match_pattern": "/(.*)",
                    "rewrite_to": "http://h/$1",
                    "triggers": [
                        {
                            "on": "any",
                            "options": {
                                "header_matches": {"a": {"match_rx": "b", "reverse": True}},
                                "request_context_matches": {"path": {"match_rx": "b"}},
                                "payload_matches": {"match_rx": "c"},
                            },
                            "rewrite_to": "/$tyk_context.trigger-0-a-0",
                        }
                    ],
                }
            ],
            "internal": [{"path": "/a", "method": "GET"}],
            "mock_response": [{"path": "/a", "method": "GET", "code": 200, "body": "b", "headers": {"a": "b"}}],
            "rate_limit": [{"path": "/a", "method": "GET", "rate": 5, "per": 0.5}],
            "track_endpoints": [{"path": "/a", "method": "GET"}],
        },
        "global_headers": {"Host": "a"},
        "global_response_headers_remove": ["a"],
        "override_target": "http://a/b",
    },
    definition={"location": "url-param", "key": "v", "strip_path": False},
    custom_middleware={"pre": [], "auth_check": {}},
    response_processors=[{"name": "header_injector", "options": {"add_headers": {"a": "b"}, "remove_headers": ["c"]}}],
    domain="a.example",
    cors={"enable": False},
    cache_options={"enable_cache": True, "cache_all_safe_requests": False},
    allowed_ips=["10.0.0.0/8"],
    enable_ip_whitelisting=True,
    global_rate_limit={"rate": 5, "per": 5, "by": "api"},
    error_template={"a": "{{.Message}}"},
    error_overrides={"not-found": {"status": 410, "message": "x"}},
    **proxy(target_list=["http://a/"], enable_load_balancing=True, timeouts={"connect": 5}),
    **hook(header_map={"a": "b"}, event_timeout=5),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, member in inner for place in places(member, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


STRINGS = st.sampled_from(
    ["", "\ud800", "http://h/%zz", "http://[::1%25x]/", "/..", "(", "\x00", "{{.X}}", "1e400", "ü", "{id}", "/hello", "a" * 3000]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | STRINGS | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS | st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def test_the_whole_document_is_sound() -> None:
    parse(WHOLE)


@settings(max_examples=150)
@given(st.sampled_from([place for place in places(WHOLE) if place]), ANYTHING)
def test_nothing_breaks_the_reading(place: tuple[Any, ...], value: Any) -> None:
    """Whatever stands somewhere: a definition that can be compiled and linted, or mistakes with places."""
    raw = changed(WHOLE, place, value)
    found, report = read(raw)
    if found is None:
        assert report.mistakes
        assert all(mistake.message for mistake in report.mistakes)
        return
    lint(found)
    try:
        compile_api(found, ports(), 1)
    except Mistakes as wrong:
        assert "surrogates" in str(wrong), wrong  # noqa: PT017
