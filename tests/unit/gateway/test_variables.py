"""Variables in the texts of a definition."""

from __future__ import annotations

import pytest

from services.gateway.keys.model import Key
from services.gateway.variables import parse
from tests.unit.gateway.exchanges import exchange


def _filled(text: str, *, escape: bool = False) -> str:
    found = parse(text)
    assert found is not None
    asked = exchange(
        target="/api/a/b?x=1&x=2&y=3",
        headers=[("X-Their-Own", "mine"), ("Cookie", 'session-id=s1; other="o 2"')],
    )
    asked.key = Key(id="public", session={"meta_data": {"tier": "gold", "list": [1, 2], "none": None}})
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
        ("$tyk_meta.tier and $tyk_meta.list", "gold and [1,2]"),
        ("<$tyk_meta.none$tyk_meta.absent>", "<>"),
    ],
)
def test_a_variable_stands_for(text: str, filled: str) -> None:
    assert _filled(text) == filled


def test_values_are_escaped_for_a_url() -> None:
    assert _filled("/x?of=$tyk_context.cookies_other&p=$tyk_context.path", escape=True) == "/x?of=o%202&p=%2Fapi%2Fa%2Fb"


def test_a_text_without_variables_is_none() -> None:
    assert parse("costs $5, $tyk_other.x") is None


def test_without_a_key_its_data_are_empty() -> None:
    found = parse("<$tyk_meta.tier>")
    assert found is not None
    assert found.fill(exchange()) == "<>"
