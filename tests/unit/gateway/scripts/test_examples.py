"""The examples of docs/custom-middleware.md: what stands there is in deploy/middleware/, and does what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import compile_api, parse
from services.gateway.exchange import ResponseHead
from services.gateway.middleware import custom_auth, custom_post, custom_post_key, custom_pre, custom_response
from services.gateway.refusals import SCRIPT_REFUSED
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import ask, built, make_key, ports, refusal
from tests.unit.gateway.scripted import Saved, request
from tests.unit.gateway.scripts.conftest import Called

ROOT = Path(__file__).resolve().parents[4]
FOLDER = ROOT / "deploy" / "middleware"


def example(saved: Saved | None = None) -> Any:
    return replace(ports(), scripts=Scripts(FOLDER, seconds=20, save_meta=(Saved() if saved is None else saved).save))


def test_the_page_has_every_file() -> None:
    page = (ROOT / "docs" / "custom-middleware.md").read_text()
    files = [path for path in FOLDER.iterdir() if path.suffix in (".js", ".py")]
    assert len(files) == 7
    for path in files:
        assert f"\n{path.read_text()}```" in page, path.name


def test_the_definition_compiles() -> None:
    raw = json.loads((ROOT / "deploy" / "apis" / "example-scripts.json").read_text())
    raw["proxy"]["target_url"] = "http://10.0.0.1/"
    files = compile_api(parse({**raw, "active": True}), example(), 1).scripts.files
    assert len([one for one in files if one.path.endswith(".js")]) == 4


def test_a_key_from_the_query() -> None:
    rule = built(custom_pre, example(), custom_middleware={"pre": [{"name": "keyFromQuery", "path": "key_from_query.js"}]})
    made = request("GET", "/api/?a=b&key=secret", ("Host", "h"))
    assert ask(rule, made) is None
    assert (made.fields[b"authorization"], made.query) == (b"secret", "a=b")


def test_a_plan() -> None:
    saved = Saved()
    hooks = {"post_key_auth": [{"name": "plan", "path": "plan.js", "require_session": True}]}
    rule = built(custom_post_key, example(saved), custom_middleware=hooks, config_data={"plan": "gold"})
    found = refusal(rule, request(key=make_key(meta_data={"plan": "free"})), SCRIPT_REFUSED)
    assert (found.status, found.message) == (402, "This call needs the plan gold")
    made = request(key=make_key(meta_data={"plan": "gold", "calls": "6"}))
    assert ask(rule, made) is None
    assert made.sent_headers() == [(b"X-Plan", b"gold")]
    assert saved == [("key-1", {"plan": "gold", "calls": "7"})]


@pytest.mark.parametrize(("token", "who"), [("abc", "acme"), ("abd", None), ("", None)])
def test_a_partner(token: str, who: str | None) -> None:
    hooks = {"driver": "python", "auth_check": {"name": "partner", "path": "partner.py"}}
    config = {"partners": {"acme": "abc", "best": "xyz"}}
    rule = built(custom_auth, example(), custom_middleware=hooks, custom_plugin_auth_enabled=True, config_data=config)
    out, _ = Called(rule._running)(Headers={"X-Partner-Token": [token]} if token else {})
    assert (out.get("session", {}).get("key_id"), out.get("over", {}).get("code")) == (who, None if who else 401)


@pytest.mark.parametrize(("role", "body"), [("guest", '{"name":"a"}'), ("staff", '{"name": "a", "cost": 5}')])
def test_a_redaction(role: str, body: str) -> None:
    rule = built(
        custom_response, example(), custom_middleware={"response": [{"name": "redact", "path": "redact.js"}]},
        config_data={"secret_fields": ["cost"]},
    )  # fmt: skip
    head = ResponseHead(200, b"OK", [(b"X-Powered-By", b"p")])
    found = rule.transform(request(key=make_key(meta_data={"role": role})), head, b'{"name": "a", "cost": 5}')
    assert (found, head.headers) == (body.encode(), [])


@pytest.mark.parametrize(("amount", "passes"), [(5, True), (500, False)])
def test_a_stamp(amount: int, passes: bool) -> None:
    hooks = {"driver": "python", "post": [{"name": "stamp", "path": "stamp.py"}]}
    rule = built(custom_post, example(), custom_middleware=hooks, config_data={"most": 100})
    called = Called(rule.running)
    out, inline = called(Body=json.dumps({"amount": amount}))
    assert not inline
    assert ("over" not in out, "X-Received" in out["set"]) == (passes, True)


def test_an_overview_and_an_event() -> None:
    raw = json.loads((ROOT / "deploy" / "apis" / "example-scripts.json").read_text())
    raw["proxy"]["target_url"] = "http://10.0.0.1/"
    raw["config_data"]["backend"] = "http://127.0.0.1:1"
    running = compile_api(parse({**raw, "active": True}), example(), 1).scripts
    called = Called(running)
    kinds = [script.kind for script in parse({**raw, "active": True}).scripts.scripts]  # type: ignore[union-attr]
    out, _ = called(kinds.index("virtual"))
    assert json.loads(out["answer"]["body"]) == {"users": 500, "orders": 500}
    event = {"Type": "AuthFailure", "Meta": {"Message": "Auth Failure", "Key": "k"}}
    out, _ = called(kinds.index("event"), session={"APIID": "a"}, **event)
    assert out["logs"] == [["info", "AuthFailure in a: Auth Failure (k)"]]
