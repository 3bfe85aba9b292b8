"""Scripts behind authentication: the session of the key, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.middleware import custom_post_key
from services.gateway.refusals import SCRIPT_FAILED
from tests.unit.gateway.exchanges import ask, built, make_key, ports, refusal
from tests.unit.gateway.scripted import Saved, hooked, request


def test_without_scripts_it_is_not_in_the_chain() -> None:
    assert built(custom_post_key, ports()) is None


def test_headers_are_changed_for_the_upstream_only(tmp_path: Path) -> None:
    rule = hooked(custom_post_key, "post_key_auth", tmp_path, "request.SetHeaders['X-A'] = 'b'; request.DeleteHeaders.push('X-B')")
    made = request("GET", "/api/", ("Host", "a"), ("X-B", "c"))
    assert ask(rule, made) is None
    assert made.sent_headers() == [(b"X-A", b"b")]
    assert made.fields[b"x-b"] == b"c"


def test_the_session_without_its_secrets(tmp_path: Path) -> None:
    body = "request.SetHeaders.a = JSON.stringify([session.alias, session.hmac_string, session.basic_auth_data, session.meta_data])"
    rule = hooked(custom_post_key, "post_key_auth", tmp_path, body, session=True)
    made = request(key=make_key(alias="me", hmac_string="s3cret", basic_auth_data={"password": "s3cret"}))
    assert ask(rule, made) is None
    assert made.sent_headers() == [(b"a", b'["me",null,null,{}]')]


def test_no_session_where_none_is_asked_for(tmp_path: Path) -> None:
    saved = Saved()
    rule = hooked(custom_post_key, "post_key_auth", tmp_path, "request.SetHeaders.a = JSON.stringify(session)", saved)
    made = request(key=make_key(alias="me", meta_data={"a": "b"}))
    assert ask(rule, made) is None
    assert made.sent_headers() == [(b"a", b'{"meta_data":{}}')]
    assert saved == []


def test_changed_meta_data_is_saved_and_seen_by_later_stages(tmp_path: Path) -> None:
    saved = Saved()
    rule = hooked(custom_post_key, "post_key_auth", tmp_path, "session.meta_data.a = request.Headers.A[0]", saved, session=True)
    for value in ("b", "c"):
        made = request("GET", "/api/", ("A", value), key=make_key(meta_data={"a": "b"}))
        assert ask(rule, made) is None
    assert saved == [("key-1", {"a": "c"})], "what does not change is not written"
    assert made.key is not None
    assert made.key.session["meta_data"] == {"a": "c"}


@pytest.mark.parametrize(
    "body", ["session.meta_data.a = 'x'.repeat(70000)", "session.meta_data.a = JSON.parse('['.repeat(60) + ']'.repeat(60))"]
)
def test_meta_data_that_would_burden_all_later_requests(tmp_path: Path, body: str) -> None:
    saved = Saved()
    refusal(hooked(custom_post_key, "post_key_auth", tmp_path, body, saved, session=True), request(key=make_key()), SCRIPT_FAILED)
    assert saved == []
