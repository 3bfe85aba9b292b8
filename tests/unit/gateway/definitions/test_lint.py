"""Warnings about definitions that are valid."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.definitions.lint import lint
from tests.unit.gateway.exchanges import definition, document, lists


def warned(**more: Any) -> dict[str, str]:
    """What is said, by place."""
    return dict(lint(definition(**more)))


def targets(*urls: str) -> dict[str, Any]:
    return {"proxy": {**document()["proxy"], "enable_load_balancing": True, "target_list": list(urls)}}


VERSION = "/version_data/versions/Default"


def test_a_sound_definition() -> None:
    assert warned() == {}
    assert warned(version=lists(["^/open$"], ["/admin"], ["^/users/{id}"]), slug="x", tags=["a"], config_data={"any": "thing"}) == {}


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ({"later": 1}, "/later", "not known here"),
        ({"uptime_tests": {"check_list": [{}]}}, "/uptime_tests", "does not serve it yet"),
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
