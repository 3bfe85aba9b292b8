"""Fields whose names are nearly those of known ones, or that stand where they do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint, parse, read
from services.gateway.definitions import field_names
from services.gateway.definitions.field_names import near
from services.gateway.definitions.lint import unread_fields
from services.gateway.definitions.reader import Mistakes
from tests.unit.gateway.exchanges import document, lists

VERSION = "/version_data/versions/Default"
KNOWN = frozenset({"white_list", "use_keyless", "listen_path", "paths", "auth", "enable", "version_data"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("whitelist", "white_list"), ("whiteList", "white_list"), ("white-list", "white_list"), ("whtie_list", "white_list"),
        ("use_keyles", "use_keyless"), ("usekeyless", "use_keyless"), ("use_keyles_s", "use_keyless"), ("use_kyles", "use_keyless"),
        ("listen_paht", "listen_path"), ("listenpath", "listen_path"), ("path", "paths"), ("pathss", "paths"), ("aut", ""), ("auths", ""),
        ("enabled", "enable"), ("versions", ""), ("whitening", ""), ("x", ""), ("w" * 5000, ""), ("description", ""),
    ],
)  # fmt: skip
def test_near_names(name: str, meant: str) -> None:
    assert near(name, KNOWN) == meant


def test_names_of_one_object_are_not_taken_for_each_other() -> None:
    """Each is exempt where it is known; here every one is read as if it stood in another object."""
    for names in (field_names.DEFINITION, field_names.PROXY, field_names.EXTENDED_PATHS, field_names.VERSION, field_names.SESSION):
        parse(document(config_data=dict.fromkeys(names, 1)))
        for home in (
            {"proxy": {**document()["proxy"], "service_discovery": dict.fromkeys(names, 1)}},
            {"oauth_meta": dict.fromkeys(names, 1)},
        ):
            parse(document(**home))


def test_every_field_of_a_tyk_is_taken_for_itself() -> None:
    """None is a near miss where it belongs, whatever its value."""
    places: list[tuple[frozenset[str], Any]] = [
        (field_names.DEFINITION, lambda name: document() | {name: None if name in document() else 1}),
        (field_names.PROXY, lambda name: document(proxy={**document()["proxy"], **({} if name in document()["proxy"] else {name: 1})})),
        (field_names.VERSION, lambda name: document(version={name: 1})),
        (field_names.EXTENDED_PATHS, lambda name: document(version={"use_extended_paths": True, "extended_paths": {name: 1}})),
        (field_names.AUTH, lambda name: document(auth={name: 1})),
        (field_names.CORS, lambda name: document(CORS={name: 1})),
        (field_names.CACHE_OPTIONS, lambda name: document(cache_options={name: 1})),
    ]
    for names, build in places:
        for name in names:
            _, report = read(build(name))
            assert not [one for one in report.mistakes if "did you mean" in one.message or "belongs in" in one.message]


@pytest.mark.parametrize(
    ("more", "place", "meant"),
    [
        ({"use_keyles": False}, "/use_keyles", "use_keyless"),
        ({"activ": False}, "/activ", "active"),
        ({"enableIpWhitelisting": True}, "/enableIpWhitelisting", "enable_ip_whitelisting"),
        ({"proxy": {**document()["proxy"], "stripListenPath": True}}, "/proxy/stripListenPath", "strip_listen_path"),
        ({"version": {"paths": {"whitelist": ["/a"]}}}, f"{VERSION}/paths/whitelist", "white_list"),
        ({"version": {"paths": {"block_list": []}}}, f"{VERSION}/paths/block_list", "black_list"),
        (
            {"version": {"use_extended_paths": True, "extended_paths": {"url_rewrite": []}}},
            f"{VERSION}/extended_paths/url_rewrite",
            "url_rewrites",
        ),
        (
            {"version": lists(extended=True, white=[{"path": "^/a$", "methodActions": {}}])},
            f"{VERSION}/extended_paths/white_list/0/methodActions",
            "method_actions",
        ),
        ({"version": {"expire": "2020-01-01 00:00"}}, f"{VERSION}/expire", "expires"),
        ({"CORS": {"enabled": True}}, "/CORS/enabled", "enable"),
        ({"auth": {"use_cookies": True}}, "/auth/use_cookies", "use_cookie"),
    ],
)
def test_a_near_miss_is_a_mistake(more: dict[str, Any], place: str, meant: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        parse(document(**more))
    (mistake,) = wrong.value.mistakes
    assert mistake.pointer == place
    assert f"did you mean `{meant}`?" in mistake.message


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"white_list": ["/a"]}, "/white_list"),
        ({"version": {"white_list": ["/a"]}}, f"{VERSION}/white_list"),
        ({"version": {"global_rate_limit": {"rate": 1, "per": 1}}}, f"{VERSION}/global_rate_limit"),
        ({"extended_paths": {"black_list": [{"path": "/a"}]}}, "/extended_paths"),
        ({"proxy": {**document()["proxy"], "allowed_ips": ["10.0.0.1"]}}, "/proxy/allowed_ips"),
        ({"auth": {"enable_jwt": True}}, "/auth/enable_jwt"),
    ],
)
def test_what_keeps_somebody_out_does_so_at_its_place_only(more: dict[str, Any], place: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        parse(document(**more))
    (mistake,) = wrong.value.mistakes
    assert mistake.pointer == place
    assert "belongs in" in mistake.message


def test_lists_at_the_wrong_place_that_only_open_are_a_warning() -> None:
    """An API that works at a Tyk works here: nobody gets in who would not there."""
    versions = document()["version_data"]
    found = parse(document(version_data={**versions, "extended_paths": {"ignored": [{"path": "/login"}], "black_list": []}}))
    assert dict(lint(found)) == {
        "/version_data/extended_paths": "extended_paths belongs in a version (version_data.versions); here it has no effect"
    }


def test_free_maps_are_free() -> None:
    free = {"use_keyles": 1, "whitelist": 2, "Headers": 3}
    entry = {"path": "^/a$", "method_actions": {"GET": {"action": "reply", "code": 200, "headers": {"Pathx": "a"}}}}
    hook = {"handler_name": "eh_web_hook_handler", "handler_meta": {"target_path": "http://h/", "header_map": {"Methods": "a"}}}
    found = parse(
        document(
            config_data=free, tags=["use_keyles"], notifications=free, session_provider={"meta": free},
            event_handlers={"events": {"AuthFailure": [hook]}}, error_template={"use_keyles": "a"},
            version_data={"not_versioned": True, "versions": {"version": {}, "Defaults": lists(extended=True, ignored=[entry])}},
        )
    )  # fmt: skip
    assert [one.pointer for one in lint(found)] == ["/version_data/versions"]


def test_unknown_fields_are_named_beside_mistakes() -> None:
    with pytest.raises(Mistakes) as wrong:
        parse(document(use_keyles=True, team="a", graphql={"enabled": True}))
    assert [one.pointer for one in wrong.value.mistakes] == ["/graphql", "/use_keyles"]
    assert [one.pointer for one in unread_fields(wrong.value.unread)] == ["/team"]


def test_many_unknown_fields_take_little_time() -> None:
    parse(document(**{f"enable_ip_whitelist_{index:06}": 1 for index in range(20_000)}))
