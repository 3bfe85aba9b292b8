"""`/api/hooks`, and how references to webhooks get into a definition."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.stores.sealing import Sealing, WrongMasterKey

SAMPLE = {
    "event_name": "QuotaExceeded",
    "hook": {
        "api_model": {},
        "id": "54be6c0beba6db07a6000002",
        "org_id": "54b53d3aeba6db5c35000002",
        "name": "Test Post",
        "method": "POST",
        "target_path": "http://httpbin.org/post",
        "template_path": "",
        "header_map": {"x-tyk-test": "123456"},
        "event_timeout": 0,
    },
    "event_timeout": 60,
}
EMBEDDED = {
    "handler_name": "eh_web_hook_handler",
    "handler_meta": {
        "_id": "54be6c0beba6db07a6000002",
        "event_timeout": 60,
        "header_map": {"x-tyk-test": "123456"},
        "method": "POST",
        "name": "Test Post",
        "org_id": "54b53d3aeba6db5c35000002",
        "target_path": "http://httpbin.org/post",
        "template_path": "",
    },
}


def test_a_reference_is_embedded_as_in_the_sample(operator: Any, make_definition: Any) -> None:
    id = operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": [SAMPLE]})["Meta"]
    read = operator.json("GET", f"/api/apis/{id}")
    assert read["hook_references"] == [SAMPLE]
    handlers = read["api_definition"]["event_handlers"]
    assert handlers == {"events": {"QuotaExceeded": [EMBEDDED]}}
    assert list(handlers["events"]["QuotaExceeded"][0]["handler_meta"]) == list(EMBEDDED["handler_meta"])


def test_saving_what_was_read_changes_nothing(operator: Any, make_definition: Any) -> None:
    own = {"handler_name": "eh_log_handler", "handler_meta": {"prefix": "mine"}}
    given = make_definition(event_handlers={"events": {"QuotaExceeded": [own]}})
    id = operator.json("POST", "/api/apis", {"api_definition": given, "hook_references": [SAMPLE]})["Meta"]
    read = operator.json("GET", f"/api/apis/{id}")
    operator.json("PUT", f"/api/apis/{id}", read)
    again = operator.json("GET", f"/api/apis/{id}")
    assert again == read
    assert again["api_definition"]["event_handlers"]["events"]["QuotaExceeded"] == [own, EMBEDDED]
    operator.json("PUT", f"/api/apis/{id}", {**again, "hook_references": []})
    without = operator.json("GET", f"/api/apis/{id}")
    assert without["api_definition"]["event_handlers"]["events"] == {"QuotaExceeded": [own]}


def test_saving_what_was_read_changes_nothing_without_an_id_either(operator: Any, make_definition: Any) -> None:
    """Twice in the definition the webhook would be called twice."""
    nameless = {"event_name": "AuthFailure", "event_timeout": 5, "hook": {"method": "POST", "target_path": "http://127.0.0.1:9/"}}
    operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": [nameless, SAMPLE]})
    read = operator.json("GET", "/api/apis/one")
    operator.json("PUT", "/api/apis/one", read)
    assert operator.json("GET", "/api/apis/one") == read
    operator.json("PUT", "/api/apis/one", {**read, "hook_references": [SAMPLE]})
    events = operator.json("GET", "/api/apis/one")["api_definition"]["event_handlers"]["events"]
    assert events == {"QuotaExceeded": [EMBEDDED]}


def test_mistakes_of_a_reference_are_told_where_the_caller_wrote_them(operator: Any, make_definition: Any) -> None:
    own = {"handler_name": "eh_log_handler", "handler_meta": {"prefix": 5}}
    given = make_definition(event_handlers={"events": {"QuotaExceeded": [own]}})
    wrong = {"id": "x", "target_path": "ftp://a/", "method": "BREW", "header_map": {"a b": "c"}}
    references = [SAMPLE, {"event_name": "QuotaExceeded", "event_timeout": "60", "hook": wrong}, {"event_name": "Nothing", "hook": wrong}]
    body = {"api_definition": given, "hook_references": references}
    refused = operator.json("POST", "/api/apis", body, status=400)
    assert [one["pointer"] for one in refused["Errors"]] == ["/hook_references/2/event_name"]
    refused = operator.json("POST", "/api/apis", {**body, "hook_references": references[:2]}, status=400)
    assert {one["pointer"] for one in refused["Errors"]} == {
        "/api_definition/event_handlers/events/QuotaExceeded/0/handler_meta/prefix",
        "/hook_references/1/event_timeout",
        *(f"/hook_references/1/hook/{name}" for name in ("target_path", "method", "header_map/a b")),
    }


def test_a_reference_by_id_takes_the_stored_webhook(operator: Any, make_definition: Any) -> None:
    hook = {"name": "h", "method": "post", "target_path": "http://127.0.0.1:9/sink", "header_map": {"x-h": "1"}, "event_timeout": 5}
    id = operator.json("POST", "/api/hooks", hook)["Meta"]
    reference = {"event_name": "AuthFailure", "hook": {"id": id}}
    operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": [reference]})
    meta = operator.json("GET", "/api/apis/one")["api_definition"]["event_handlers"]["events"]["AuthFailure"][0]["handler_meta"]
    assert (meta["_id"], meta["target_path"], meta["method"], meta["event_timeout"]) == (id, "http://127.0.0.1:9/sink", "POST", 5)


def test_references_that_cannot_be_embedded(operator: Any, make_definition: Any) -> None:
    for references in (
        {},
        ["x"],
        [{"event_name": "QuotaExceeded"}],
        [{"hook": SAMPLE["hook"]}],
        [{"event_name": "QuotaExceeded", "hook": {"id": "none"}}],
    ):
        body = operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": references}, status=400)
        assert body["Errors"][0]["pointer"].startswith("/hook_references")
    unknown = operator.json(
        "POST", "/api/apis", {"api_definition": make_definition(), "hook_references": [{**SAMPLE, "event_name": "Nothing"}]}, status=400
    )
    assert "Nothing" in unknown["Message"]
    for wrong in ("x", {"events": "x"}, {"events": {"QuotaExceeded": "x"}}):
        operator.json(
            "POST", "/api/apis", {"api_definition": make_definition(event_handlers=wrong), "hook_references": [SAMPLE]}, status=400
        )


def test_webhooks(operator: Any) -> None:
    given = {"name": "h", "method": "PATCH", "target_path": "http://127.0.0.1:9/", "header_map": {"x-h": "1"}}
    made = operator.json("POST", "/api/hooks", given)
    assert (made["Status"], made["Message"]) == ("OK", "Webhook created")
    id = made["Meta"]
    shown = {"api_model": {}, "id": id, "org_id": "default", **given, "template_path": "", "event_timeout": 0}
    assert operator.json("GET", f"/api/hooks/{id}") == shown
    assert operator.json("GET", "/api/hooks?p=-1") == {"hooks": [shown], "pages": 0}
    assert operator.json("PUT", f"/api/hooks/{id}", {**shown, "name": "new"})["Message"] == "Webhook updated"
    assert operator.json("GET", f"/api/hooks/{id}")["name"] == "new"
    operator.json("PUT", f"/api/hooks/{id}", {**shown, "id": "other"}, status=400)
    assert operator.json("DELETE", f"/api/hooks/{id}")["Message"] == "Webhook deleted"
    for method, body in (("GET", None), ("PUT", given), ("DELETE", None)):
        operator.json(method, f"/api/hooks/{id}", body, status=404)


def test_webhooks_that_are_wrong(operator: Any) -> None:
    target = {"target_path": "http://h/"}
    wrong = [
        {"name": "n", "method": "POST"},
        target,
        {"method": "GET", "target_path": "file:///etc/passwd"},
        {"method": "EXEC", **target},
        {"method": "GET", **target, "header_map": {"a": "b\r\nc: d"}},
    ]
    for hook in wrong:
        assert operator.json("POST", "/api/hooks", hook, status=400)["Message"] == "Webhook object validation failed."


SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0"
HOOK = {"name": "h", "method": "POST", "target_path": "http://127.0.0.1:9/sink"}


def test_a_secret_is_written_and_never_shown(operator: Any) -> None:
    id = operator.json("POST", "/api/hooks", {**HOOK, "secret": SECRET})["Meta"]
    shown = operator.json("GET", f"/api/hooks/{id}")
    assert shown["signed"] is True
    for path in (f"/api/hooks/{id}", "/api/hooks"):
        assert SECRET not in operator.call("GET", path).text
    operator.json("PUT", f"/api/hooks/{id}", {**shown, "name": "new"})  # what was read is written back
    assert operator.gateway.hooks.secret(id) == SECRET
    operator.json("PUT", f"/api/hooks/{id}", {**shown, "secret": "another"})
    assert operator.gateway.hooks.secret(id) == "another"
    operator.json("PUT", f"/api/hooks/{id}", {**shown, "secret": ""})
    assert operator.gateway.hooks.secret(id) == ""
    assert "signed" not in operator.json("GET", f"/api/hooks/{id}")


def test_a_secret_is_not_stored_when_it_cannot_be_sealed(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> str:
        raise WrongMasterKey("GATEWAY_MASTER_KEY is another one")

    id = operator.json("POST", "/api/hooks", HOOK)["Meta"]
    monkeypatch.setattr(Sealing, "seal", wrong)
    for method, path in (("POST", "/api/hooks"), ("PUT", f"/api/hooks/{id}")):
        body = operator.json(method, path, {**HOOK, "secret": SECRET}, status=503)
        assert body["Code"] == "master-key-unusable"
        assert "nothing was stored: GATEWAY_MASTER_KEY is another one" in body["Message"]
        assert SECRET not in str(body)
    assert [hook["id"] for hook in operator.json("GET", "/api/hooks")["hooks"]] == [id]
    assert "signed" not in operator.json("GET", f"/api/hooks/{id}")


def test_a_secret_that_cannot_sign_is_refused(operator: Any) -> None:
    body = operator.json("POST", "/api/hooks", {**HOOK, "secret": "whsec_%%%"}, status=400)
    assert [error["pointer"] for error in body["Errors"]] == ["/secret"]
    assert "%%%" not in str(body)
    operator.json("POST", "/api/hooks", {**HOOK, "secret": 5}, status=400)


def test_a_definition_knows_the_webhook_and_not_its_secret(operator: Any, make_definition: Any) -> None:
    id = operator.json("POST", "/api/hooks", {**HOOK, "secret": SECRET})["Meta"]
    references = [
        {"event_name": "AuthFailure", "hook": {"id": id}},
        {"event_name": "KeyExpired", "hook": operator.json("GET", f"/api/hooks/{id}")},
    ]
    operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": references})
    read = operator.json("GET", "/api/apis/one")
    metas = [handlers[0]["handler_meta"] for handlers in read["api_definition"]["event_handlers"]["events"].values()]
    assert [meta["_id"] for meta in metas] == [id, id]
    assert not any("signed" in meta for meta in metas)
    everything = operator.call("GET", "/api/apis/one").text + operator.call("GET", "/api/gatehouse/apis/one/revisions/1").text
    assert SECRET not in everything
    assert all("signed" not in reference["hook"] for reference in read["hook_references"])


def test_a_secret_in_a_definition_is_refused_with_its_place(operator: Any, make_definition: Any) -> None:
    meta = {"method": "POST", "target_path": "http://127.0.0.1:9/", "Secret": SECRET}
    given = make_definition(event_handlers={"events": {"AuthFailure": [{"handler_name": "eh_web_hook_handler", "handler_meta": meta}]}})
    body = operator.json("POST", "/api/apis", {"api_definition": given}, status=400)
    [error] = body["Errors"]
    assert error["pointer"] == "/api_definition/event_handlers/events/AuthFailure/0/handler_meta/Secret"
    assert "/api/hooks" in error["message"] and SECRET not in str(body)
    id = operator.json("POST", "/api/hooks", HOOK)["Meta"]
    for hook in ({**HOOK, "id": "h1", "secret": SECRET}, {"id": id, "secret": SECRET}):
        reference = {"event_name": "AuthFailure", "hook": hook}
        body = operator.json("POST", "/api/apis", {"api_definition": make_definition(), "hook_references": [reference]}, status=400)
        assert [error["pointer"] for error in body["Errors"]] == ["/hook_references/0/hook/secret"]
    assert operator.json("GET", "/api/apis")["apis"] == []
