"""Handlers of events: what their JSON becomes, and every mistake at its place."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint, parse
from services.gateway.definitions.event_schema import HOOK_METHODS
from services.gateway.definitions.model import LOG, WEBHOOK, EventHandler
from services.gateway.definitions.reader import Mistakes
from tests.unit.gateway.exchanges import document


def mistakes(raw: dict[str, Any]) -> dict[str, str]:
    """What is said of a document, by place."""
    with pytest.raises(Mistakes) as wrong:
        parse(raw)
    return dict(wrong.value.mistakes)


def hook(**meta: Any) -> dict[str, Any]:
    return events(AuthFailure=[{"handler_name": WEBHOOK, "handler_meta": {"target_path": "http://hooks.example/", **meta}}])


def events(**handlers: Any) -> dict[str, Any]:
    return {"event_handlers": {"events": handlers}}


HOOK = "/event_handlers/events/AuthFailure/0/handler_meta"


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
        (events(AuthFailure=[{"handler_name": "cp_dynamic_handler"}]), "/event_handlers/events/AuthFailure/0/handler_name"),
        (
            events(AuthFailure=[{"handler_name": "eh_dynamic_handler", "handler_meta": {"path": "a.js"}}]),
            "/event_handlers/events/AuthFailure/0/handler_meta/name",
        ),
        (events(AuthFailure={}), "/event_handlers/events/AuthFailure"),
        (events(RateLimitExceeded=[]), "/event_handlers/events/RateLimitExceeded"),
        (events(AuthFailure=[{"handler_name": LOG, "handler_meta": "x"}]), "/event_handlers/events/AuthFailure/0/handler_meta"),
    ],
)
def test_handlers_that_are_wrong(more: dict[str, Any], place: str) -> None:
    assert list(mistakes(document(**more))) == [place]


def test_a_password_in_a_hook_is_not_repeated() -> None:
    assert "s3cret" not in str(mistakes(document(**hook(target_path="http://u:s3cret@h/"))))
