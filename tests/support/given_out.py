"""What an installation has given out before an operation, and whether each of it is as good afterwards: asked as its holders ask."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from typing import Any

import requests

from tests.support import sessions_client_today as of_today
from tests.support.gateway import definition
from tests.support.installation import Installation
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Received, Receiver

ADMIN = "admin@gatehouse.local"
SERIAL = "AB-1"


def ask(method: str, url: str, body: Any = None, **headers: str) -> requests.Response:
    """Send a request; header names with `_` for `-`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, url, json=body, headers=sent, timeout=30)


def taken(answer: requests.Response) -> Any:
    """Return what a good answer holds."""
    assert answer.ok, f"{answer.status_code} {answer.text}"
    return answer.json()


class Auth:
    """The first administrator, and JWTs."""

    def __init__(self, at: Installation) -> None:
        self._at = at
        self.access = self.sign_in()["access_token"]

    def sign_in(self) -> Any:
        return taken(ask("POST", f"{self._at.url}/auth/login", {"email": ADMIN, "password": self._at.text("auth/admin.password")}))

    def token(self, kind: str = "account") -> str:
        """Issue a token of a person's program; one that no service has seen is asked of auth."""
        policy = {"policy": [{"resource": "device", "actions": ["access", "edit"]}]} if kind == "middleware" else {}
        body = {"kind": kind, "label": "of a test", **policy}
        bearer = f"Bearer {self.sign_in()['access_token']}"
        return str(taken(ask("POST", f"{self._at.url}/auth/me/tokens", body, authorization=bearer))["secret"])

    def knows(self, jwt: str) -> bool:
        return ask("GET", f"{self._at.url}/auth/me", authorization=f"Bearer {jwt}").status_code == 200


class Gateway:
    """An API with a key, whose refusals are told to a signed hook."""

    def __init__(self, at: Installation, receiver: Receiver) -> None:
        self._at = at
        self._receiver = receiver
        self.secret = "the-secret-of-the-gateways-hook"
        hook = {"name": "h", "method": "POST", "target_path": f"{receiver.url}/gateway", "secret": self.secret}
        self.hook = taken(self.operate("POST", "/api/hooks", hook))["Meta"]
        api = definition("kept", f"{receiver.url}/upstream/", use_keyless=False)
        reference = {"event_name": "AuthFailure", "hook": {"id": self.hook}}
        taken(self.operate("POST", "/api/apis", {"api_definition": api, "hook_references": [reference]}))
        rights = {"kept": {"api_id": "kept", "api_name": "kept", "versions": ["Default"]}}
        made = taken(self.operate("POST", "/api/keys", {"access_rights": rights}))
        self.id, self.key = made["id"], made["key_id"]

    def operate(self, method: str, path: str, body: Any = None) -> requests.Response:
        return ask(method, f"{self._at.operator}{path}", body, authorization=self._at.text("gateway/operator.key"))

    def opens(self, key: str) -> bool:
        return ask("GET", f"{self._at.url}/kept/", authorization=key).status_code == 200

    def signs_with(self, secret: str) -> bool:
        """Provoke a call of the hook, and say whether it is signed with this secret."""
        before = len(self._receiver.calls)
        assert not self.opens("no key")
        return signed(_next(self._receiver, before, "/gateway"), secret)


class Devices:
    """A device with a serial number, and an action that calls."""

    def __init__(self, at: Installation, auth: Auth, receiver: Receiver) -> None:
        self._at = at
        self._receiver = receiver
        self.account, self._network = auth.token(), auth.token("middleware")
        made = self._result("POST", "/device", {"name": "boiler", "type": "mutable", "serie_number": SERIAL}, self.account)
        self.id, self.token = made["device_id"], made["token"]
        self.action, self.secret = self.new_action("hot")

    def new_action(self, variable: str) -> tuple[str, str]:
        """Create an action on records of a variable; return its id and its secret."""
        trigger = [{"device": self.id, "variable": variable, "is": ">", "value": "95", "value_type": "number"}]
        call = {"type": "post", "url": f"{self._receiver.url}/devices"}
        made = self._result("POST", "/action", {"name": variable, "type": "condition", "trigger": trigger, "action": call}, self.account)
        return made["action"], made["secret"]

    def _result(self, method: str, path: str, body: Any, token: str) -> Any:
        return taken(ask(method, f"{self._at.url}/devices{path}", body, token=token))["result"]

    def lists(self, token: str) -> int:
        """Ask with a token of the account; return the status."""
        return ask("GET", f"{self._at.url}/devices/device", token=token).status_code

    def resolves(self) -> bool:
        """Say whether a network still gets the device's token, and the device still sends."""
        answer = ask("GET", f"{self._at.url}/devices/integration/network/resolve/{SERIAL}", token=self._network)
        sent = ask("POST", f"{self._at.url}/devices/data", [{"variable": "idle", "value": 1}], token=self.token)
        return answer.status_code == 200 and answer.json()["result"] == self.token and sent.ok

    def signs_with(self, secret: str, variable: str = "hot") -> bool:
        """Provoke a call of the action, and say whether it is signed with this secret."""
        before = len(self._receiver.calls)
        taken(ask("POST", f"{self._at.url}/devices/data", [{"variable": variable, "value": 99}], token=self.token))
        return signed(_next(self._receiver, before, "/devices"), secret)


class Writes:
    """Records of a device, one after the other, until the end of the block. answered: how many were taken."""

    def __init__(self, at: Installation, token: str) -> None:
        self.answered = 0
        self._at, self._token = at, token
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        while not self._end.is_set():
            answer = ask("POST", f"{self._at.url}/devices/data", [{"variable": "count", "value": self.answered}], token=self._token)
            assert answer.status_code == 200, answer.text
            self.answered += 1

    def __enter__(self) -> Writes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def records(at: Installation, token: str) -> int:
    answer = ask("GET", f"{at.url}/devices/data?variable=count&qty=10000", token=token)
    assert answer.status_code == 200, answer.text
    return len(answer.json()["result"])


class Session:
    """A session that a client has joined."""

    def __init__(self, at: Installation) -> None:
        person = of_today.Connection(f"{at.url}/sessions", ADMIN, at.text("auth/admin.password"))
        self.person = person.with_login_key()
        self.person.io("add_project", "kept", "EN")
        self.joined = self.person.join(self.person.start("kept"))
        self.joined.select()

    def lives(self) -> bool:
        try:
            return bool(self.joined.items("STAKEHOLDERS"))
        except of_today.RefusedToday:
            return False


def signed(call: Received, secret: str) -> bool:
    """Say whether a call is signed with this secret, as Standard Webhooks say."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    content = b".".join((call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body))
    code = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return call.headers["webhook-signature"] == f"v1,{code}"


def _next(receiver: Receiver, before: int, path: str) -> Received:
    wait_until(lambda: any(call.path == path for call in receiver.calls[before:]), 60, f"a call of {path}")
    return next(call for call in receiver.calls[before:] if call.path == path)


def answer_of(said: str) -> Any:
    """Read the JSON that a command of the page printed last."""
    return json.loads(said.strip().splitlines()[-1])
