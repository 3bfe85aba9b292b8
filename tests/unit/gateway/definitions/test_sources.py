"""Definitions of a folder, and addresses of the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import interpret
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.sources import read_folder, resolve
from tests.unit.gateway.exchanges import document


def with_target(target: str, **proxy: Any) -> dict[str, Any]:
    return document(proxy={**document()["proxy"], "target_url": target, **proxy})


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        ("env://UPSTREAM_A", "a", "", ""),
        ("env://UPSTREAM_A/", "a", "", ""),
        ("env://UPSTREAM_A/v1/", "a", "/v1", ""),
        ("env://UPSTREAM_B/v1", "b", "/base/v1", ""),
        ("env://UPSTREAM_B?x=1", "b", "/base", "x=1"),
    ],
)
def test_a_target_of_the_environment(target: str, host: str, path: str, query: str) -> None:
    found = interpret(with_target(target), {"UPSTREAM_A": "http://a:1", "UPSTREAM_B": "http://b/base/"}).proxy.targets[0]
    assert (found.host, found.path, found.query) == (host, path, query)


def test_what_is_given_back_keeps_its_form() -> None:
    raw = with_target("env://UPSTREAM_A/v1/")
    assert interpret(raw, {"UPSTREAM_A": "http://a"}).raw is raw


def test_our_own_services_have_defaults() -> None:
    found = interpret(with_target("env://UPSTREAM_TOKENS/x"), {})
    assert (found.proxy.targets[0].host, found.proxy.targets[0].port) == ("127.0.0.1", 8103)
    assert interpret(with_target("env://UPSTREAM_TOKENS/x"), {"UPSTREAM_TOKENS": "http://t"}).proxy.targets[0].host == "t"
    assert interpret(with_target("env://UPSTREAM_TOKENS/x"), {"UPSTREAM_TOKENS": ""}).proxy.targets[0].host == "127.0.0.1"


def test_the_environment_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_FROM_HERE", "http://here")
    assert interpret(with_target("env://UPSTREAM_FROM_HERE/")).proxy.targets[0].host == "here"


def test_every_case_and_every_target_of_a_list() -> None:
    raw = document()
    raw["Proxy"] = {
        **raw.pop("proxy"),
        "TARGET_List": ["env://UPSTREAM_A", "http://x", "env://UPSTREAM_A/y"],
        "enable_load_balancing": True,
    }
    found = interpret(raw, {"UPSTREAM_A": "http://a"})
    assert [(target.host, target.path) for target in found.proxy.targets] == [("a", ""), ("x", ""), ("a", "/y")]


@pytest.mark.parametrize(("name", "allowed"), [("FRONTEND_URL", "OTHER,FRONTEND_URL"), ("ORDERS_V1", "ORDERS_*"), ("test_url", "test_*")])
def test_names_that_an_operator_allows(name: str, allowed: str) -> None:
    """Definitions of a Tyk name what its operator called them."""
    environ = {name: "http://a", "GATEWAY_ENV_ALLOW": allowed}
    assert interpret(with_target(f"env://{name}/x"), environ).proxy.targets[0].path == "/x"
    with pytest.raises(Mistakes, match="or that GATEWAY_ENV_ALLOW names"):
        interpret(with_target(f"env://{name}/x"), {name: "http://a"})


@pytest.mark.parametrize("name", ["GATEWAY_OPERATOR_KEY", "GATEHOUSE_KEY", "VALKEY_URL", "AWS_KEY_FILE", "AUTH_MASTER_KEY"])
def test_no_secret_of_the_house_is_ever_allowed(name: str) -> None:
    environ = {name: "http://s3cret", "GATEWAY_ENV_ALLOW": f"{name},G*,V*,A*"}
    with pytest.raises(Mistakes) as wrong:
        interpret(with_target(f"env://{name}"), environ)
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("env://PATH/", "begin with UPSTREAM_"),
        ("env://GATEWAY_OPERATOR_KEY", "begin with UPSTREAM_"),
        ("env://UPSTREAM_/", "begin with UPSTREAM_"),
        ("env://", "begin with UPSTREAM_"),
        ("env://UPSTREAM_UNSET/", "UPSTREAM_UNSET is not set"),
    ],
)
def test_only_upstreams_of_the_environment(target: str, said: str) -> None:
    """A definition must not be able to send other settings anywhere, nor to read them from a message."""
    with pytest.raises(Mistakes) as wrong:
        interpret(with_target(target), {"PATH": "http://s3cret/", "GATEWAY_OPERATOR_KEY": "s3cret"})
    assert [mistake.pointer for mistake in wrong.value.mistakes] == ["/proxy/target_url"]
    assert said in str(wrong.value)
    assert "s3cret" not in str(wrong.value)


def test_a_value_that_is_no_url_is_a_mistake() -> None:
    with pytest.raises(Mistakes) as wrong:
        interpret(with_target("env://UPSTREAM_A/"), {"UPSTREAM_A": "s3cret"})
    assert [mistake.pointer for mistake in wrong.value.mistakes] == ["/proxy/target_url"]
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize("proxy", [None, 5, [], "x", {"target_list": 5}, {"target_url": 5}, {"target_list": [5, None]}])
def test_a_proxy_that_is_none_is_a_mistake(proxy: Any) -> None:
    with pytest.raises(Mistakes):
        interpret(document(proxy=proxy), {})


@pytest.mark.parametrize(("name", "known"), [("TYK_KEY", True), ("UPSTREAM_KEY", True), ("GATEWAY_OPERATOR_KEY", False), ("TYK_", False)])
def test_what_tokens_are_checked_with_may_be_in_the_environment(name: str, known: bool) -> None:
    environ = {"TYK_KEY": "s3cret", "UPSTREAM_KEY": "s3cret", "GATEWAY_OPERATOR_KEY": "s3cret"}
    raw = document(JWT_Source=f"env://{name}", jwt_jwks_uris=[{"URL": f"env://{name}"}, 5])
    resolved, wrong = resolve(raw, environ)
    if known:
        assert (resolved["JWT_Source"], resolved["jwt_jwks_uris"], wrong) == ("s3cret", [{"URL": "s3cret"}, 5], [])
    else:
        assert [one.pointer for one in wrong] == ["/JWT_Source", "/jwt_jwks_uris/0/URL"]
        assert "s3cret" not in str(wrong)
    with pytest.raises(Mistakes):
        interpret(with_target("env://TYK_KEY/"), environ)  # an upstream would learn it


def test_mistakes_of_both_kinds_are_told_together() -> None:
    with pytest.raises(Mistakes) as wrong:
        interpret({**with_target("env://UPSTREAM_UNSET/"), "api_id": 5, "name": 5}, {})
    assert [mistake.pointer for mistake in wrong.value.mistakes] == ["/proxy/target_url", "/name", "/api_id"]


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(document(api_id="b", id="given")))
    (tmp_path / "a.json").write_text(json.dumps({"api_definition": document(api_id="a"), "hook_references": [{"event_name": "x"}]}))
    (tmp_path / "c.txt").write_text("not read")
    (tmp_path / "d.json").mkdir()
    (tmp_path / "e.json").write_bytes(b"\xff")
    (tmp_path / "f.json").write_text('{"api_id": "f", "api_id": "g"}')
    (tmp_path / "g.json").write_text('{"api_id": 5}')
    (tmp_path / "h.json").write_text(json.dumps(document(api_id="b")))
    (tmp_path / "i.json").write_text("[]")
    (tmp_path / "k.json").write_text(json.dumps(document(api_id="k", id="given")))
    os.symlink(tmp_path / "nowhere", tmp_path / "j.json")
    found, wrong = read_folder(tmp_path)
    assert [(one.api_id, one.raw["id"], one.hook_references) for one in found] == [
        ("a", "ca978112ca1bbdcafac231b3", [{"event_name": "x"}]),
        ("b", "given", []),
    ]
    assert {one.name: one.mistakes[0].message for one in wrong} == {
        "d.json": "cannot be read: Is a directory",
        "e.json": "is not UTF-8",
        "f.json": "is given twice",
        "g.json": "api_id is missing",
        "h.json": "`b` is in another file of the folder, too",
        "i.json": "must be an object, not a list",
        "j.json": "cannot be read: No such file or directory",
        "k.json": "`given` is in another file of the folder, too; leave id out to get one",
    }


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "none") == ([], [])


def test_a_folder_whose_references_are_no_list(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"api_definition": document(), "hook_references": 5}))
    assert read_folder(tmp_path)[0][0].hook_references == []


@pytest.mark.parametrize(
    ("members", "place", "said"),
    [
        ({"enable_jwt": True, "use_keyless": False, "jwt_signing_method": "hmac", "jwt_source": "vault://k"}, "/jwt_source", "vault://"),
        ({"config_data": {"a": [{"token": "consul://token"}]}}, "/config_data/a/0/token", "consul://"),
        ({"config_data": {"token": "Bearer secrets://token"}}, "/config_data/token", "secrets:// is read in target_url"),
        ({"proxy": {"listen_path": "env://PATH", "target_url": "http://h"}}, "/proxy/listen_path", "env:// is read in target_url"),
        ({"proxy": {"listen_path": "/a/", "target_url": "vault://t"}}, "/proxy/target_url", "vault:// is not served"),
    ],
)
def test_what_a_tyk_would_fill_in_is_never_taken_for_a_text(members: dict[str, Any], place: str, said: str) -> None:
    """As a secret, everybody who knows the definition could guess it."""
    with pytest.raises(Mistakes) as wrong:
        interpret(document(**members), {})
    [message] = [one.message for one in wrong.value.mistakes if one.pointer == place]
    assert said in message


def test_references_in_what_nothing_here_reads_are_left_alone() -> None:
    interpret(document(upstream_auth={"enabled": False, "basic_auth": {"password": "vault://p"}}, config_data={"u": "https://vault/x"}), {})
