"""Variables in the texts of a definition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.gateway.keys.model import Key
from services.gateway.variables import Context, parse
from tests.unit.gateway.exchanges import exchange


def _filled(text: str, *, escape: bool = False) -> str:
    found = parse(text)
    assert found is not None
    asked = exchange(
        target="/api/a/b?x=1&x=2&y=3",
        headers=[("X-Their-Own", "mine"), ("Cookie", 'session-id=s1; other="o 2"')],
    )
    asked.key = Key(id="public", session={"meta_data": {"tier": "gold", "list": [1, 2], "object": {"a": "b"}, "none": None}})
    asked.claims = {"sub": "eve", "roles": ["a", "b,c", ""], "exp": 1800000000, "admin": True, "half": "\ud800é", "https": {"x": 1}}
    return found.fill(asked, escape=escape)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("at $tyk_context.path.", "at /api/a/b."),
        ("$tyk_context.path_parts", "api,a,b"),
        ("$tyk_context.request_data", "x:1,2;y:3"),
        ("$tyk_context.request_data_x $tyk_context.request_data_z", "1 "),
        ("$tyk_context.headers_X_Their_Own/$tyk_context.headers_x-their-own", "mine/mine"),
        ("$tyk_context.cookies_session_id, $tyk_context.cookies_other", "s1, o 2"),
        ("$tyk_context.token", "public"),
        ("<$tyk_context.nothing>", "<>"),
        ("<$tyk_context.headers_absent>", "<>"),
        ("$tyk_meta.tier and $tyk_meta.list", "gold and 1,2"),
        ("$tyk_meta.object", '{"a":"b"}'),
        ("$tyk_context.jwt_claims_sub, $tyk_context.jwt_claims_roles", "eve, a,b%2Cc"),
        ("$tyk_context.jwt_claims_exp/$tyk_context.jwt_claims_admin/$tyk_context.jwt_claims_half", "1800000000/true/?é"),
        ("<$tyk_context.jwt_claims_aud$tyk_context.jwt_claims_>", "<>"),
        ("<$tyk_meta.none$tyk_meta.absent>", "<>"),
    ],
)
def test_a_variable_stands_for(text: str, filled: str) -> None:
    assert _filled(text) == filled


def test_values_are_escaped_for_a_url() -> None:
    assert _filled("/x?of=$tyk_context.cookies_other&p=$tyk_context.path", escape=True) == "/x?of=o%202&p=%2Fapi%2Fa%2Fb"


def test_what_templates_see_of_a_request() -> None:
    given = [("X-Own", "1"), ("Authorization", "secret"), ("Cookie", "session-id=s1")]
    asked = exchange(target="/api/a?x-y=1&x-y=2", headers=given)
    asked.key = Key(id="public")
    asked.claims = {"sub": "eve", "roles": ["a"]}
    context = Context(asked)
    gone_over: dict[str, Any] = {
        "path": "/api/a",
        "path_parts": ["api", "a"],
        "remote_addr": "192.0.2.1",
        "request_id": "request-1",
        "token": "public",
        "request_data": {"x-y": ["1", "2"]},
        "request_data_x_y": "1",
        "jwt_claims_sub": "eve",
        "jwt_claims_roles": ["a"],
        "headers_X_Own": "1",
    }
    assert dict(context) == gone_over
    assert len(context) == len(gone_over)
    assert json.loads(json.dumps(context, default=dict)) == gone_over
    # Who names it means it.
    assert (context["headers_Authorization"], context["cookies_session_id"]) == ("secret", "s1")
    assert [context.get(name) for name in ("headers_X", "cookies_x", "request_data_x", "jwt_claims_aud", "other", "")] == [None] * 6


def test_a_text_without_variables_is_none() -> None:
    assert parse("costs $5, $tyk_other.x") is None


def test_without_a_key_its_data_are_empty() -> None:
    found = parse("<$tyk_meta.tier>")
    assert found is not None
    assert found.fill(exchange()) == "<>"
