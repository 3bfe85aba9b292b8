"""Every route, asked with every kind of token: who may, who may not, and what a stranger is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from tests.support.fake_auth import FakeAuth
from tests.unit.devices.conftest import ACC, ACC2, ACC_READ, ACC_WRITE, ANALYSIS, ANALYSIS_READ, API, NETWORK, MadeDevice, result

GONE = "00000000-0000-4000-8000-000000000000"
OPEN = ("/", "/view", "/health", "/ready", "/metrics", "/openapi.json", "/pages", "/shared")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One store is enough: what is tested here is judged before any is asked, or the same on both."""
    return sqlite_url


class House:
    """A device of account `one` with one of everything, and tokens of all kinds."""

    def __init__(self, api: API, house: FakeAuth) -> None:
        self.api = api
        self.device: MadeDevice = api.device(serie_number="serial")
        self.tokens = {
            permission: result(api.post("/device/token", {"device": self.device.id, "name": "x", "permission": permission}), 201)
            for permission in ("read", "write", "deny")
        }
        self.spare = result(api.post("/device/token", {"device": self.device.id, "name": "spare", "permission": "deny"}), 201)["id"]
        result(api.post(f"/device/{self.device.id}/params", {"key": "a", "value": "b"}), 201)
        (self.param,) = result(api.get(f"/device/{self.device.id}/params"))
        action = {
            "name": "an action", "type": "condition", "action": {"type": "post", "url": "http://192.0.2.1/"},
            "trigger": [{"device": self.device.id, "variable": "a", "is": "*"}],
        }  # fmt: skip
        self.action = result(api.post("/action", action), 201)["action"]
        result(api.post("/data", {"variable": "a"}, self.device.token))
        (self.delivery,) = result(api.get(f"/action/{self.action}/deliveries"))
        self.other = api.device(by=ACC2)
        house.add("gh_ana_none", "one", "analysis", policy={"device:" + "0" * 24: ["*"]})
        house.add("gh_ana_other", "two", "analysis", policy={"*": ["*"]})

    def path(self, method: str, rule: str) -> str:
        """A route's path to what the account has."""
        parts = {
            "device_id": self.device.id, "param_id": self.param["id"], "action_id": self.action, "delivery_id": self.delivery["id"],
            "chunk_id": "0_1", "serial": "serial", "authorization": "code",
            "key": self.device.id if method == "GET" else self.spare,
        }  # fmt: skip
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: parts[found[1]], rule)

    def routes(self) -> Iterator[tuple[str, str]]:
        """Every method and rule that asks for a token."""
        for rule in self.api.app.url_map.iter_rules():
            if not rule.rule.startswith(OPEN[1:]) and rule.rule != "/":
                for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                    yield method, rule.rule

    def ask(self, method: str, rule: str, token: str | None) -> TestResponse:
        """Ask, with a body that changes nothing: judged after the token."""
        return self.api.send(method, self.path(method, rule), token, json=None if method in ("GET", "DELETE") else [], buffered=False)


@pytest.fixture
def made(api: API, house: FakeAuth) -> House:
    return House(api, house)


def kind_of(rule: str) -> str:
    """Say whose route this is."""
    if rule.startswith(("/data", "/info", "/device/params")):
        return "device"
    return "middleware" if rule.startswith("/integration/") else "account"


def test_a_route_takes_its_own_kind_of_token_only(made: House) -> None:
    """G15, G16, G19: 401 without a token that lives, 403 for one that may not, and neither for who may."""
    asked = 0
    for method, rule in made.routes():
        reads = method == "GET"
        own = made.tokens["read" if reads else "write"]["token"]
        may = {
            "account": {ACC, ACC_READ if reads else ACC_WRITE}, "device": {made.device.token, own}, "middleware": {NETWORK},
        }[kind_of(rule)]  # fmt: skip
        if kind_of(rule) == "account" and not rule.startswith("/action"):
            may |= {ANALYSIS} | ({ANALYSIS_READ} if reads else set())
        devices = {made.device.token, *(token["token"] for token in made.tokens.values())}
        for token in (None, GONE, "gh_acc_unknown"):
            answer = made.ask(method, rule, token)
            assert (answer.status_code, answer.json["message"]) == (401, "Authorization denied"), (method, rule, token)
        for token in {ACC, ACC_READ, ACC_WRITE, ANALYSIS, ANALYSIS_READ, NETWORK, *devices} - may:
            if token == ANALYSIS_READ and kind_of(rule) == "account" and not rule.startswith("/action"):
                continue  # its permission is full; what its policy says is judged by device, see below
            answer = made.ask(method, rule, token)
            assert (answer.status_code, answer.json["message"]) == (403, "Authorization denied"), (method, rule, token)
            asked += 1
        if method != "DELETE":
            for token in may:
                answer = made.ask(method, rule, token)
                assert answer.status_code in (200, 201, 400, 404), (method, rule, token)
                answer.close()
    assert asked > 250


def test_a_stranger_is_told_that_there_is_nothing(made: House) -> None:
    """G23: everything of an account is 404 for another one, and so it is for a policy of another account."""
    asked = 0
    for method, rule in made.routes():
        if kind_of(rule) != "account" or "<" not in rule:
            continue
        for token in (ACC2, "gh_ana_other"):
            if token == ACC2 or not rule.startswith("/action"):
                body = {"type": "mutable"} if rule.endswith("/convert") else {"key": "a", "value": "b"} if "/params" in rule else {}
                answer = made.api.send(method, made.path(method, rule), token, json=None if method in ("GET", "DELETE") else body)
                assert answer.status_code == 404, (method, rule, token, answer.text)
                assert answer.json["message"].startswith("Invalid "), answer.text
                asked += 1
        if not rule.startswith("/action"):
            body = {"type": "mutable"} if rule.endswith("/convert") else {"key": "a", "value": "b"} if "/params" in rule else {}
            answer = made.api.send(method, made.path(method, rule), "gh_ana_none", json=None if method in ("GET", "DELETE") else body)
            assert answer.status_code == 403, (method, rule, answer.text)
    assert asked > 40
    for body in ({"device": made.device.id, "name": "x"}, {"device": "0" * 24, "name": "x"}):
        assert made.api.post("/device/token", body, ACC2).status_code == 404
    assert result(made.api.get("/device?serial=serial", ACC2)) == []
    result(made.api.get(f"/device/{made.device.id}/data"))


def test_ids_of_another_device_name_nothing(made: House) -> None:
    """Neither a record, nor a parameter, nor a delivery, nor an action's device, nor an idempotency key of another one."""
    api = made.api
    (record,) = result(api.get("/data", made.device.token))
    assert result(api.put("/data", {"id": record["id"], "value": 1}, made.other.token)) == "0 item(s) updated"
    assert result(api.delete(f"/data?ids={record['id']}", made.other.token)) == "0 Data Removed"
    assert result(api.get(f"/data?ids={record['id']}", made.other.token)) == []
    assert api.put(f"/device/params/{made.param['id']}", {}, made.other.token).status_code == 404
    assert api.post(f"/device/{made.other.id}/params/{made.param['id']}", {"key": "a", "value": "c"}, ACC2).status_code == 404
    second = {
        "name": "an action", "type": "condition", "action": {"type": "post", "url": "http://192.0.2.1/"},
        "trigger": [{"device": made.other.id, "variable": "a", "is": "*"}],
    }  # fmt: skip
    own = result(api.post("/action", second, ACC2), 201)["action"]
    assert api.post("/action", second).status_code == 400
    assert api.post(f"/action/{own}/deliveries/{made.delivery['id']}/replay", {}, ACC2).status_code == 404
    for device in (made.device, made.other):
        answer = api.post("/data", {"variable": device.id}, device.token, headers={"Idempotency-Key": "the same"})
        assert result(answer) == "1 Data Added"
    assert result(api.get("/data?query=count", made.other.token)) == 1
    (record,) = result(api.get("/data?variables=a", made.device.token))
    assert "value" not in record
