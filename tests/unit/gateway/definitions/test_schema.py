"""Tyk's JSON in and out: what every field becomes, every mistake at its place, and nothing that opens an API by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.addresses import parse_network
from services.gateway.compiler import compile_api
from services.gateway.definitions.lint import lint
from services.gateway.definitions.model import LOG, WEBHOOK, Auth, ErrorOverride, EventHandler, GlobalRateLimit, ProxyTimeouts
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.schema import HOOK_METHODS, dump, load, parse, read
from services.gateway.definitions.sources import interpret
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


HOOK = "/event_handlers/events/AuthFailure/0/handler_meta"


def test_everything_that_is_absent_has_its_default() -> None:
    found = parse(document())
    assert (found.id, found.org_id, found.domain) == ("", "", "")
    assert not (found.use_keyless or found.enable_batch_request_support or found.disable_quota or found.disable_rate_limit)
    assert found.auth == Auth("authorization")
    assert found.active
    assert not parse(document(proxy={"listen_path": "/a/", "target_url": "http://h/"})).proxy.strip_listen_path
    assert found.allowed_ips is None
    assert found.blacklisted_ips == ()
    assert found.global_rate_limit is None
    assert found.proxy.timeouts == ProxyTimeouts()
    assert (found.error_template, found.error_overrides, found.event_handlers) == (None, {}, {})
    assert found.unversioned().name == "Default"


def test_what_goes_in_comes_out() -> None:
    raw = document(tags=["a"], unknown={"kept": [1, None]}, **proxy(preserve_host_header=True))
    assert dump(parse(raw)) == raw
    assert dump(load(json.dumps(raw))) == raw


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
    "mode",
    ["use_basic_auth", "use_oauth2", "enable_signature_checking", "enable_jwt", "use_openid",
     "enable_coprocess_auth", "use_go_plugin_auth", "custom_plugin_auth_enabled"],
)  # fmt: skip
def test_a_way_of_authentication_that_is_not_served_is_a_mistake(mode: str) -> None:
    """Served with keys alone it would be open to the wrong clients. A keyless API is open anyway, as in Tyk."""
    assert list(mistakes(document(**{mode: True}))) == [f"/{mode}"]
    parse(document(**{mode: False}))
    parse(document(**{mode: True}, use_keyless=True))


@pytest.mark.parametrize(
    ("middleware", "place"),
    [
        ({"pre": [{"name": "a", "path": "a.js"}]}, "pre"),
        ({"post": [{}]}, "post"),
        ({"post_key_auth": [{"name": "a"}]}, "post_key_auth"),
        ({"response": [{"name": "a"}]}, "response"),
        ({"auth_check": {"name": "a", "path": ""}}, "auth_check"),
        ({"auth_check": [1]}, "auth_check"),
        ({"pre": {"name": "a"}}, "pre"),
    ],
)
def test_requests_do_not_pass_without_a_middleware_that_is_asked_for(middleware: dict[str, Any], place: str) -> None:
    assert list(mistakes(document(custom_middleware=middleware))) == [f"/custom_middleware/{place}"]


def test_a_middleware_that_does_nothing_is_no_mistake() -> None:
    empty = {"pre": [], "post": None, "response": [], "auth_check": {"name": "", "path": "", "require_session": False}, "driver": ""}
    assert lint(parse(document(custom_middleware=empty))) == []


@pytest.mark.parametrize(
    ("auth", "place"),
    [
        ({"auth_header_name": "ü"}, "/auth/auth_header_name"),
        ({"disable_header": True}, "/auth/disable_header"),
        ({"disable_header": True, "param_name": "p"}, "/auth/disable_header"),
    ],
)
def test_a_key_that_could_never_be_found(auth: dict[str, Any], place: str) -> None:
    assert list(mistakes(document(auth=auth))) == [place]


def test_where_keys_are_looked_for() -> None:
    auth = {
        "auth_header_name": "X-Key",
        "use_param": True,
        "param_name": "p",
        "use_cookie": True,
        "cookie_name": "c",
        "strip_auth_data": True,
    }
    assert parse(document(auth=auth)).auth == Auth("X-Key", True, "p", True, "c", True)
    assert parse(document(auth={"use_param": True, "param_name": "k"})).auth.param_name == "k"
    for auth in ({}, None, {"auth_header_name": ""}, {"auth_header_name": None, "use_param": True}):
        assert parse(document(auth=auth)).auth.auth_header_name == "Authorization"
    elsewhere = parse(document(auth={"disable_header": True, "use_param": True, "use_cookie": True, "cookie_name": "c"})).auth
    assert (elsewhere.auth_header_name, elsewhere.param_name, elsewhere.cookie_name) == ("", "Authorization", "c")


@pytest.mark.parametrize(("given", "active"), [({}, True), ({"active": None}, True), ({"active": True}, True), ({"active": False}, False)])
def test_only_false_switches_an_api_off(given: dict[str, Any], active: bool) -> None:
    raw = {name: value for name, value in document().items() if name != "active"}
    assert parse({**raw, **given}).active is active


def test_the_end_of_the_api_is_the_end_of_its_versions() -> None:
    versions = {"a": {"expires": "1970-01-03 00:00"}, "b": {"expires": "1970-01-01 00:01"}, "c": {}}
    found = parse(document(expiration="1970-01-02 00:00", version_data={"not_versioned": True, "versions": versions}))
    assert {name: version.expires for name, version in found.versions.items()} == {"a": 86_400, "b": 60, "c": 86_400}
    assert list(mistakes(document(expiration="soon"))) == ["/expiration"]


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


def test_versions_in_the_url_are_stripped_by_either_name() -> None:
    for name in ("strip_path", "strip_versioning_data"):
        found = parse(document(definition={"location": "url", name: True}))
        assert found.strip_version
        assert lint(found) == []
    in_header = parse(document(definition={"location": "header", "key": "v", "strip_versioning_data": True}))
    assert [one.pointer for one in lint(in_header)] == ["/definition/strip_versioning_data"]


def test_the_later_place_of_auth_outranks_the_former() -> None:
    later = {"authToken": {"auth_header_name": "X-Later", "use_cookie": True}, "jwt": {"auth_header_name": "other"}}
    for auth in ({}, {"auth_header_name": "X-Former", "param_name": "p"}):
        found = parse(document(auth=auth, auth_configs=later))
        assert (found.auth.auth_header_name, found.auth.use_cookie, found.auth.param_name) == ("X-Later", True, "")
        assert lint(found) == []
    assert parse(document(auth={"strip_auth_data": True}, auth_configs=later)).auth.strip_auth_data
    for nothing in (None, {}, {"authToken": {}}, {"authToken": {"auth_header_name": ""}}):
        assert parse(document(auth={"auth_header_name": "X-Former"}, auth_configs=nothing)).auth.auth_header_name == "X-Former"
    assert list(mistakes(document(auth_configs={"authToken": 5}))) == ["/auth_configs/authToken"]
    assert "/auth_configs/authToken/auth_header_name" in mistakes(document(auth_configs={"authToken": {"auth_header_name": "a b"}}))


def test_keys_are_stripped_wherever_the_definition_says_so() -> None:
    """Tyk's place is the definition itself: unseen there, keys would go on to the upstream."""
    found = parse(document(strip_auth_data=True))
    assert found.auth.strip_auth_data
    assert lint(found) == []
    assert parse(document(auth={"auth_header_name": "a", "strip_auth_data": True})).auth.strip_auth_data
    assert not parse(document(strip_auth_data=False)).auth.strip_auth_data
    assert list(mistakes(document(strip_auth_data="yes"))) == ["/strip_auth_data"]


@pytest.mark.parametrize(
    ("placing", "more", "place"),
    [
        ({"location": "header"}, {}, "/definition/key"),
        ({"location": "url-param", "key": ""}, {}, "/definition/key"),
        ({"location": "header", "key": "x v"}, {}, "/definition/key"),
        ({"location": "url-param", "key": "x v"}, {}, None),
        ({"location": "url"}, {}, None),
        ({"location": "header"}, {"default_version": "v1"}, None),
        ({"location": "url-path"}, {"not_versioned": True}, "/definition/location"),
        ({"location": ""}, {"not_versioned": True}, None),
        ({}, {"not_versioned": True}, None),
    ],
)
def test_where_versions_are_named(placing: dict[str, Any], more: dict[str, Any], place: str | None) -> None:
    raw = document(definition=placing, version_data={"versions": {"v1": {"name": "v1"}}, **more})
    if place is None:
        parse(raw)
    else:
        assert list(mistakes(raw)) == [place]


def test_address_lists() -> None:
    lists = {"allowed_ips": ["10.0.0.1", "2001:db8::/32"], "blacklisted_ips": ["10.0.0.2"]}
    off = parse(document(**lists))
    assert (off.allowed_ips, off.blacklisted_ips) == (None, ())
    on = parse(document(**lists, enable_ip_whitelisting=True, enable_ip_blacklisting=True))
    assert on.allowed_ips == (parse_network("10.0.0.1"), parse_network("2001:db8::/32"))
    assert on.blacklisted_ips == (parse_network("10.0.0.2"),)
    assert parse(document(enable_ip_whitelisting=True)).allowed_ips == ()
    both: dict[str, Any] = {"enable_ip_whitelisting": True, "enable_ip_blacklisting": True, "ip_access_control_disabled": True}
    switched_off = parse(document(**lists, **both))
    assert (switched_off.allowed_ips, switched_off.blacklisted_ips) == (None, ())
    assert list(mistakes(document(allowed_ips=["x"]))) == ["/allowed_ips/0"], "also when it is switched off"


def test_targets() -> None:
    several = parse(document(**proxy(enable_load_balancing=True, target_list=["http://a/", "https://b:1/x"], target_url="")))
    assert [(target.host, target.port, target.path) for target in several.proxy.targets] == [("a", 80, ""), ("b", 1, "/x")]
    one = parse(document(**proxy(enable_load_balancing=False, target_list=["nonsense"])))
    assert [target.host for target in one.proxy.targets] == ["10.0.0.1"]
    assert list(mistakes(document(**proxy(enable_load_balancing=True)))) == ["/proxy/target_list"]
    assert list(mistakes(document(**proxy(enable_load_balancing=True, target_list=["http://a/", "b", "http://h/%zz"])))) == [
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


def test_limits_for_the_whole_api() -> None:
    assert parse(document(global_rate_limit={"rate": 5, "per": 0.5, "by": "address"})).global_rate_limit == GlobalRateLimit(
        5, 0.5, "address"
    )
    assert sorted(mistakes(document(global_rate_limit={"rate": -2, "per": -1, "by": "key"}))) == [
        "/global_rate_limit/by",
        "/global_rate_limit/per",
        "/global_rate_limit/rate",
    ]


def test_handlers_of_events() -> None:
    meta = {
        "_id": "54be6c0beba6db07a6000002",
        "name": "Hook",
        "method": "patch",
        "target_path": "http://hooks.example/x",
        "template_path": "templates/x.json",
        "header_map": {"X-Secret": "352-3", "x-b": ""},
        "event_timeout": 10,
    }
    found = parse(
        document(
            **events(
                AuthFailure=[
                    {"handler_name": WEBHOOK, "handler_meta": meta},
                    {"handler_name": LOG, "handler_meta": {"prefix": "p"}},
                ],
                QuotaExceeded=None,
            )
        )
    ).event_handlers
    assert found["AuthFailure"] == (
        EventHandler(
            WEBHOOK,
            id="54be6c0beba6db07a6000002",
            name="Hook",
            method="PATCH",
            target_path="http://hooks.example/x",
            template_path="templates/x.json",
            header_map=(("X-Secret", "352-3"), ("x-b", "")),
            event_timeout=10,
            meta=meta,
        ),
        EventHandler(LOG, prefix="p", meta={"prefix": "p"}),
    )
    assert found["QuotaExceeded"] == ()


def test_a_handler_that_is_switched_off_is_left_out_and_keeps_no_secret() -> None:
    off = {"disabled": True, "target_path": "", "event_timeout": -1}
    found = parse(document(**events(AuthFailure=[{"handler_name": WEBHOOK, "handler_meta": off}])))
    assert found.event_handlers == {"AuthFailure": ()}
    assert lint(found) == []
    with_secret = events(AuthFailure=[{"handler_name": WEBHOOK, "handler_meta": {**off, "secret": "s"}}])
    assert list(mistakes(document(**with_secret))) == ["/event_handlers/events/AuthFailure/0/handler_meta/secret"]


@pytest.mark.parametrize("method", HOOK_METHODS)
def test_methods_of_webhooks(method: str) -> None:
    assert parse(document(**hook(method=method.lower()))).event_handlers["AuthFailure"][0].method == method


@pytest.mark.parametrize(
    ("more", "place"),
    [
        (hook(method="CONNECT"), f"{HOOK}/method"),
        (hook(target_path=""), f"{HOOK}/target_path"),
        (hook(target_path="file:///etc/passwd"), f"{HOOK}/target_path"),
        (hook(target_path="http://h/%zz"), f"{HOOK}/target_path"),
        (hook(target_path="http://u:p@h/"), f"{HOOK}/target_path"),
        (hook(event_timeout=-1), f"{HOOK}/event_timeout"),
        (hook(header_map={"a b": "c"}), f"{HOOK}/header_map/a b"),
        (hook(header_map={"a": "c\r\nd: e"}), f"{HOOK}/header_map/a"),
        (hook(header_map={"a": 5}), f"{HOOK}/header_map/a"),
        (events(AuthFailure=[{}]), "/event_handlers/events/AuthFailure/0/handler_name"),
        (events(AuthFailure=[{"handler_name": "eh_dynamic_handler"}]), "/event_handlers/events/AuthFailure/0/handler_name"),
        (events(AuthFailure={}), "/event_handlers/events/AuthFailure"),
        (events(RateLimitExceeded=[]), "/event_handlers/events/RateLimitExceeded"),
        (events(AuthFailure=[{"handler_name": LOG, "handler_meta": "x"}]), "/event_handlers/events/AuthFailure/0/handler_meta"),
    ],
)
def test_handlers_that_are_wrong(more: dict[str, Any], place: str) -> None:
    assert list(mistakes(document(**more))) == [place]


def test_a_password_in_a_hook_is_not_repeated() -> None:
    assert "s3cret" not in str(mistakes(document(**hook(target_path="http://u:s3cret@h/"))))


def test_error_templates_and_overrides() -> None:
    template = {"fault": {"text": "{{.Message}}", "code": "{{ .StatusCode }}", "list": ["{{.RequestID}}", 5]}}
    found = parse(document(error_template=template, error_overrides={"quota-exceeded": {"status": 429, "message": ""}, "key-missing": {}}))
    assert found.error_template == template
    assert found.error_overrides == {"quota-exceeded": ErrorOverride(429, ""), "key-missing": ErrorOverride(None, None)}
    wrong = mistakes(
        document(
            error_template={"a": ["{{.Secret}}"]},
            error_overrides={"no-such": {}, "key-missing": {"status": 200}, "not-found": {"message": 5}},
        )
    )
    assert sorted(wrong) == [
        "/error_overrides/key-missing/status",
        "/error_overrides/no-such",
        "/error_overrides/not-found/message",
        "/error_template",
    ]


@pytest.mark.parametrize("file", sorted((ROOT / "deploy" / "apis").glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_are_sound(file: Path) -> None:
    raw = json.loads(file.read_text())
    environ = {f"UPSTREAM_{name}": "http://127.0.0.1:9" for name in ("AUTH", "SESSIONS", "TOKENS", "DEVICES", "MOBILITY", "ECHO")}
    found = interpret(raw.get("api_definition", raw), environ)
    assert compile_api(found, ports(), 1).listen_path == found.proxy.listen_path


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
        },
    },
    definition={"location": "url-param", "key": "v", "strip_path": False},
    custom_middleware={"pre": [], "auth_check": {}},
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
