"""`/api/gatehouse/deliveries`: what became of webhook calls, and making them again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.common.core_database import CoreDatabase
from services.common.webhooks.outbox import Call
from services.gateway.operator_api import api_deliveries
from services.gateway.operator_api.web import EXTENSION
from services.gateway.stores.audit import AuditStore
from services.gateway.stores.events import Outbox
from services.gateway.stores.operators import OperatorStore

LONG_AGO = 1_700_000_000.0
KEY = "operator-key-of-the-test"


class Operator:
    """Calls with the operator key. woken: how often the courier was woken."""

    def __init__(self, outbox: Outbox, database: CoreDatabase) -> None:
        self.woken = 0
        app = Flask("operator", static_folder=None)
        told = SimpleNamespace(outbox=outbox, wake=self._wake)
        app.extensions[EXTENSION] = SimpleNamespace(
            operator_key=KEY, events=told, operators=OperatorStore(database), audit=AuditStore(database)
        )
        app.register_blueprint(api_deliveries.blueprint)
        self._client = app.test_client()

    def _wake(self) -> None:
        self.woken += 1

    def call(self, method: str, path: str, key: str = KEY) -> TestResponse:
        return self._client.open(path, method=method, headers={"authorization": key})

    def json(self, method: str, path: str) -> Any:
        answer = self.call(method, path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@pytest.fixture
def outbox(database: CoreDatabase) -> Outbox:
    return Outbox(database)


@pytest.fixture
def operator(outbox: Outbox, database: CoreDatabase) -> Operator:
    for number, hook in enumerate(("h1", "h1", "h2")):
        headers = (("Authorization", "of the receiver"),)
        url = "https://hooks.example/a?token=t"
        outbox.put(
            [Call(f"msg_{number}", hook, "https://hooks.example", "E", "one", "POST", url, headers, '{"a": 1}', (), 0)],
            LONG_AGO + number,
        )
    return Operator(outbox, database)


@pytest.fixture
def dead(operator: Operator, outbox: Outbox) -> Outbox:
    for delivery in outbox.lease(LONG_AGO + 9, 1, 10, {}, 10):
        outbox.given_up(delivery, 500, "the target answered 500", LONG_AGO + 10)
    return outbox


def test_deliveries_are_listed_without_secrets(operator: Operator, dead: Outbox) -> None:
    listed = operator.json("GET", "/api/gatehouse/deliveries")
    assert [one["id"] for one in listed["deliveries"]] == ["msg_2", "msg_1", "msg_0"]
    assert (listed["pages"], listed["total"]) == (0, 3)
    assert listed["deliveries"][0] == {
        "id": "msg_2",
        "hook_id": "h2",
        "event": "E",
        "api_id": "one",
        "method": "POST",
        "url": "https://hooks.example/a",
        "state": "dead",
        "attempts": 1,
        "created_at": "2023-11-14T22:13:22.000+00:00",
        "next_at": None,
        "ended_at": "2023-11-14T22:13:30.000+00:00",
        "last_status": 500,
        "last_error": "the target answered 500",
    }
    shown = operator.json("GET", "/api/gatehouse/deliveries/msg_2")
    assert shown["body"] == '{"a": 1}'
    assert "secret" not in str(shown) and "receiver" not in str(shown)


def test_pages_and_filters(operator: Operator, outbox: Outbox) -> None:
    page = operator.json("GET", "/api/gatehouse/deliveries?p=1&page_size=2&state=pending")
    assert ([one["id"] for one in page["deliveries"]], page["pages"]) == (["msg_0"], 1)
    assert operator.json("GET", "/api/gatehouse/deliveries?state=dead")["total"] == 0
    assert operator.json("GET", "/api/gatehouse/deliveries?hook_id=h2")["total"] == 1


def test_one_is_made_again(operator: Operator, dead: Outbox) -> None:
    assert operator.json("POST", "/api/gatehouse/deliveries/msg_0/replay")["Meta"] == "msg_0"
    assert [one.id for one in dead.page("pending", 0, 9)[0]] == ["msg_0"]
    assert operator.woken == 1


def test_all_dead_ones_of_a_hook_are_made_again(operator: Operator, dead: Outbox) -> None:
    assert operator.json("POST", "/api/gatehouse/deliveries/replay?hook_id=h1")["Meta"] == 2
    assert [one.id for one in dead.page("dead", 0, 9)[0]] == ["msg_2"]
    assert operator.json("POST", "/api/gatehouse/deliveries/replay?all=1")["Meta"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/gatehouse/deliveries/msg_9", 404, "delivery-unknown"),
        ("POST", "/api/gatehouse/deliveries/msg_9/replay", 404, "delivery-unknown"),
        ("POST", "/api/gatehouse/deliveries/replay", 400, "invalid-argument"),
        ("GET", "/api/gatehouse/deliveries?state=lost", 400, "invalid-argument"),
        ("GET", "/api/gatehouse/deliveries?p=x", 400, "invalid-argument"),
    ],
)
def test_what_is_refused(operator: Operator, outbox: Outbox, method: str, path: str, status: int, code: str) -> None:
    answer = operator.call(method, path)
    assert (answer.status_code, answer.get_json()["Code"]) == (status, code)


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/msg_0"), ("POST", "/msg_0/replay"), ("POST", "/replay?all=1")])
def test_every_call_needs_the_operator_key(operator: Operator, dead: Outbox, method: str, path: str) -> None:
    assert operator.call(method, f"/api/gatehouse/deliveries{path}", "wrong").status_code == 401
    assert dead.page("dead", 0, 1)[1] == 3
