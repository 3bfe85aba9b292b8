"""Header fields that go on to the upstream, set and removed."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.middleware import request_headers
from tests.unit.gateway.exchanges import ask, built, document, exchange, mistakes, ports


def rule(*entries: dict[str, Any], proxy: dict[str, Any] | None = None, **version: Any) -> Any:
    paths = {"transform_headers": [{"path": "/", **entry} for entry in entries]}
    more = {} if proxy is None else {"proxy": {**document()["proxy"], **proxy}}
    return built(request_headers, ports(), version={"use_extended_paths": True, "extended_paths": paths, **version}, **more)


def sent(rule: Any, asked: Exchange) -> dict[str, str]:
    """The fields that go on, by their names as they are written."""
    assert ask(rule, asked) is None
    return {name.decode(): value.decode("latin-1") for name, value in asked.sent_headers()}


def test_without_rules_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule({"add_headers": {}, "delete_headers": []}) is None
    assert rule({"add_headers": {"a": "b"}, "disabled": True}) is None
    assert rule({"add_headers": {"a": "b"}}, use_extended_paths=False) is None
    assert rule(global_headers={"a": "b"}, global_headers_remove=["c"], global_headers_disabled=True) is None
    assert rule(global_headers={"a": "b"}, use_extended_paths=False) is not None


def test_the_version_first_then_the_path_and_each_removes_before_it_sets() -> None:
    both = rule(
        {"path": "^/one", "method": "GET", "add_headers": {"X-Two": "path"}, "delete_headers": ["x-three", "X-FOUR"]},
        {"path": "^/one", "method": "", "add_headers": {"X-Late": "second"}},
        global_headers={"X-One": "version", "X-Two": "version", "X-Three": "version"},
        global_headers_remove=["X-One", "x-five"],
    )
    given = [("X-Four", "4"), ("X-Five", "5"), ("x-one", "client"), ("X-Other", "6")]
    assert sent(both, exchange("GET", "/api/one", given)) == {"X-Other": "6", "X-One": "version", "X-Two": "path"}
    assert sent(both, exchange("POST", "/api/one", given))["X-Late"] == "second"
    assert sent(both, exchange("GET", "/api/two", given)) == {
        "X-Four": "4", "X-Other": "6", "X-One": "version", "X-Two": "version", "X-Three": "version",
    }  # fmt: skip


def test_a_request_that_no_entry_matches_stays_as_it_is() -> None:
    asked = exchange("GET", "/api/two", [("A", "1")])
    ask(rule({"path": "^/one", "add_headers": {"X": "1"}}), asked)
    assert (asked.drop_headers, asked.set_headers, asked.fixed_headers) == (None, None, None)
    other = exchange("GET", "/api/one", version="other")
    ask(rule({"path": "^/one", "add_headers": {"X": "1"}}), other)
    assert other.set_headers is None


def test_variables() -> None:
    texts = {"X-Path": "$tyk_context.path", "X-Tier": "<$tyk_meta.tier>", "X-Their": "$tyk_context.headers_X_Their", "X-Fixed": "1"}
    key = Key(id="k", session={"meta_data": {"tier": "gold\r\nX-Admin: yes\x00", "name": "é"}})
    found = sent(
        rule({"add_headers": {**texts, "X-Name": "$tyk_meta.name"}}), exchange("GET", "/api/a", [("X-Their", "\xc3\xa9")], key=key)
    )
    assert found["X-Path"] == "/api/a"
    assert found["X-Tier"] == "<goldX-Admin: yes>"
    assert found["X-Fixed"] == "1"
    assert found["X-Their"].encode("latin-1") == found["X-Name"].encode("latin-1") == "é".encode()


def test_what_is_the_same_for_all_is_remembered_and_what_follows_does_not_change_it() -> None:
    fixed = rule({"add_headers": {"X": "1"}})
    one, two = exchange(), exchange()
    ask(fixed, one)
    ask(fixed, two)
    assert one.fixed_headers is two.fixed_headers is not None
    one.set_header(b"Y", b"2")
    assert one.fixed_headers is None
    assert two.set_headers == ((b"X", b"1"),)
    one.drop_header(b"z")
    assert two.drop_headers == {b"x"}
    ask(rule({"add_headers": {"X": "$tyk_context.path"}}), three := exchange())
    assert (three.set_headers, three.varying_headers) == ((), [(b"X", b"/api/")])
    three.set_header(b"Y", b"2")
    assert three.sent_headers() == [(b"X", b"/api/"), (b"Y", b"2")]
    three.drop_header(b"x")
    assert three.sent_headers() == [(b"Y", b"2")]
    assert three.fixed_headers is None


def test_what_an_earlier_stage_has_set() -> None:
    asked = exchange(headers=[("Cookie", "a=1; b=2")])
    asked.set_header(b"Cookie", b"b=2")
    asked.set_header(b"X", b"earlier")
    asked.drop_header(b"authorization")
    assert sent(rule({"add_headers": {"x": "later"}}), asked) == {"Cookie": "b=2", "x": "later"}
    assert asked.drop_headers == {b"cookie", b"x", b"authorization"}
    assert asked.fixed_headers is None


def test_the_host_of_the_upstream() -> None:
    asked = exchange(headers=[("Host", "client")])
    found = sent(rule({"add_headers": {"host": "inner.test:81"}}), asked)
    assert (found, asked.upstream_host) == ({}, b"inner.test:81")


def test_a_name_that_a_server_reads_as_the_one_that_is_set() -> None:
    """CGI and its heirs read `_` and `-` as one: a client's own field must not stand beside the definition's."""
    loose = rule({"add_headers": {"X-User": "1", "Y_User": "2"}}, proxy={"pass_headers": ["x_user", "z_user"]})
    given = [("X_User", "mine"), ("Y-User", "mine"), ("Y_User", "mine"), ("Z_User", "3")]
    assert sent(loose, exchange(headers=given)) == {"Z_User": "3", "X-User": "1", "Y_User": "2"}


def test_a_claim_ends_no_field() -> None:
    asked = exchange()
    asked.claims = {"name": "eve\r\nX-Admin: 1\0\ud800", "roles": ["a,b", "c\n"]}
    found = sent(rule({"add_headers": {"X-Name": "<$tyk_context.jwt_claims_name>", "X-Roles": "$tyk_context.jwt_claims_roles"}}), asked)
    assert found == {"X-Name": "<eveX-Admin: 1?>", "X-Roles": "a%2Cb,c%0A"}


def test_a_path_that_some_servers_read_in_another_way() -> None:
    found = sent(rule({"path": "^/one/two", "delete_headers": ["X"]}), exchange("GET", "/api/one%2Ftwo", [("X", "1")]))
    assert found == {}


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"add_headers": {"Content-Length": "1"}}, "add_headers/Content-Length"),
        ({"add_headers": {"transfer-encoding": "chunked"}}, "add_headers/transfer-encoding"),
        ({"add_headers": {"Connection": "close"}}, "add_headers/Connection"),
        ({"add_headers": {"A b": "1"}}, "add_headers/A b"),
        ({"add_headers": {"A": "1\r\nB: 2"}}, "add_headers/A"),
        ({"add_headers": {"A": 1}}, "add_headers/A"),
        ({"add_headers": {"A": "$secret_env.NAME"}}, "add_headers/A"),
        ({"add_headers": {"Host": "$tyk_context.headers_X"}}, "add_headers/Host"),
        ({"add_headers": {"Host": "a/b"}}, "add_headers/Host"),
        ({"delete_headers": ["Host"]}, "delete_headers/0"),
        ({"delete_headers": ["content-length"]}, "delete_headers/0"),
        ({"delete_headers": ["a:"]}, "delete_headers/0"),
        ({"path": "(", "delete_headers": ["a"]}, "path"),
        ({"method": "get", "delete_headers": ["a"]}, "method"),
    ],
)
def test_what_cannot_be_sent_is_a_mistake(entry: dict[str, Any], place: str) -> None:
    version = {"use_extended_paths": True, "extended_paths": {"transform_headers": [{"path": "/", **entry}]}}
    assert mistakes(request_headers, version=version) == [f"/version_data/versions/Default/extended_paths/transform_headers/0/{place}"]


def test_mistakes_in_the_fields_of_a_version() -> None:
    wrong = {"global_headers": {"TE": "trailers"}, "global_headers_remove": ["Upgrade"]}
    below = "/version_data/versions/Default"
    assert mistakes(request_headers, version=wrong) == [f"{below}/global_headers_remove/0", f"{below}/global_headers/TE"]
