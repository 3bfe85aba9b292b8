"""`services/gateway/openapi.json` is the contract of the operator's port: what the code says and what is served. Every call answers so.

The gateway runs as a process with SQLite, and as two workers with PostgreSQL and Valkey: what one has answered, the other knows.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.gateway.operator_document.operations import OPERATIONS
from services.gateway.operator_document.operator_document import routes
from services.gateway.operator_document.written import collection_text, described, document_text
from tests.support import client_certificates
from tests.support.gateway import OPERATOR_KEY, Gateway, definition
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

FILE = ROOT / "services/gateway/openapi.json"
DOCUMENT: Mapping[str, Any] = json.loads(FILE.read_text())
# Keys are given here: Schemathesis must not think that it has left them out.
SCHEMA = schemathesis.openapi.from_dict({
    **DOCUMENT,
    "paths": {path: {method: {**told, "security": []} for method, told in calls.items()} for path, calls in DOCUMENT["paths"].items()},
})  # fmt: skip
CALLS = [(path, method) for path, operations in DOCUMENT["paths"].items() for method in operations]
EACH_CALL = pytest.mark.parametrize(("path", "method"), [pytest.param(*one, id=f"{one[1].upper()} {one[0]}") for one in CALLS])
EACH_PATH = pytest.mark.parametrize("path", DOCUMENT["paths"])
CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
EXAMPLES = 3
KEY = {"authorization": OPERATOR_KEY, "x-tyk-authorization": OPERATOR_KEY}
WRONG = {"authorization": "wrong", "x-tyk-authorization": "wrong"}
BACK = "https://app.example/back"
HOOK = {"name": "hook", "method": "POST", "target_path": "http://127.0.0.1:9/", "template_path": "", "header_map": {}, "event_timeout": 0}
API = {
    **definition("one", "http://127.0.0.1:9/", use_keyless=False, use_oauth2=True),
    "oauth_meta": {"allowed_access_types": ["authorization_code", "refresh_token"], "allowed_authorize_types": ["code"]},
    "notifications": {},
    "event_handlers": {"events": {"TokenUpdated": [{"handler_name": "eh_web_hook_handler", "handler_meta": HOOK}]}},
}
SESSION = {
    "org_id": "default",
    "rate": 5,
    "per": 1,
    "access_rights": {"one": {"api_id": "one", "api_name": "one", "versions": ["Default"]}},
}
CLIENT = {"api_id": "one", "client_id": "app", "secret": "the-secret-of-the-client", "redirect_uri": BACK}
REFUSING = {"DELETE /tyk/apis", "POST /api/users/{id}/actions/reset"}  # Tyk has them, and they do nothing here


class House:
    """A gateway that has an object of each kind, again when a call has deleted it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.gateway = Gateway(folder, [], {"GATEWAY_ANALYTICS": "on", **env})
        self.url = self.gateway.operator_url
        self._names = itertools.count()
        self.pem = client_certificates.make("client").pem.decode()

    def ask(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        answer = requests.request(method, self.url + path, json=body, headers=KEY, timeout=10, **given)
        assert answer.status_code == 200, (method, path, answer.text)
        return answer.json()

    def names(self, path: str, method: str) -> dict[str, Any]:
        """Return the parameters of a path that name what exists."""
        self.ask("POST", "/tyk/apis", API)
        known: dict[str, Any] = {"key": "one", "api_id": "one", "org_id": "default", "client_id": "app", "number": 1}
        known |= {"what": "errors" if "{of}" not in path else "endpoint", "of": "one"}
        for place, days in ((1, -1), (2, 1)):
            day = dt.datetime.now(dt.UTC) + dt.timedelta(days)
            known |= {f"d{place}": str(day.day), f"m{place}": str(day.month), f"y{place}": str(day.year)}
        if "/certs" in path and method == "post":
            for id in self.ask("GET", "/tyk/certs")["certs"]:
                self.ask("DELETE", f"/tyk/certs/{id}")
        elif "/certs" in path:
            requests.post(f"{self.url}/tyk/certs?org_id=default", self.pem, headers=KEY, timeout=10)
            known["id"] = known["ids"] = self.ask("GET", "/tyk/certs")["certs"][0]
        elif "/policies" in path:
            if not self._has("/tyk/policies/basic"):
                self.ask("POST", "/tyk/policies", {"id": "basic", **SESSION})
            known["id"] = "basic"
        elif "/org/" in path:
            self.ask("POST", "/tyk/org/keys/default", {"quota_max": -1})
        elif "/hooks" in path:
            known["id"] = self.ask("POST", "/api/hooks", HOOK)["Meta"]
        elif "/users" in path:
            known["id"] = self.ask("POST", "/api/users", {"email_address": "a@example.com"})["Meta"]
        elif "/deliveries" in path:
            self.ask("POST", "/tyk/keys/custom", SESSION)
            self.ask("PUT", "/tyk/keys/custom", SESSION)
            listed = wait_until(lambda: self.ask("GET", "/api/gatehouse/deliveries")["deliveries"], 20, "a delivery")
            known["id"] = listed[0]["id"]
        elif "activity" in path or path.endswith("/requests"):
            requests.get(f"{self.gateway.url}/one/asked", timeout=10)
            wait_until(lambda: self.ask("GET", "/api/gatehouse/requests")["data"], 20, "a record")
        elif "basic" in path:
            known["name"] = "somebody"
        elif "/oauth" in path:
            if not self._has("/tyk/oauth/clients/one/app"):
                self.ask("POST", "/tyk/oauth/clients/create", CLIENT)
            if "refresh" in path:
                known["token"] = self._refresh_token()
            if method == "post":
                self.ask("DELETE", "/tyk/oauth/clients/one/app" if "authorize" not in path else "/tyk/keys/none")
        else:
            known["name"] = self.ask("POST", f"/tyk/keys/custom{next(self._names)}", SESSION)["key_hash"]  # the one before may be rotated
        if path.endswith("/redo"):
            self.ask("POST", "/tyk/apis", {**API, "name": "another"})
            self.ask("POST", "/api/gatehouse/apis/one/undo")
        if path.endswith("/undo"):
            self.ask("POST", "/tyk/apis", {**API, "name": "another"})
        return known

    def _has(self, path: str) -> bool:
        return requests.get(self.url + path, headers=KEY, timeout=10).status_code == 200

    def _refresh_token(self) -> str:
        form = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "key_rules": json.dumps(SESSION)}
        code = requests.post(f"{self.url}/tyk/oauth/authorize-client", form, headers=KEY, timeout=10).json()["code"]
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        answer = requests.post(f"{self.gateway.url}/one/oauth/token", asked, auth=("app", CLIENT["secret"]), timeout=10)
        return str(answer.json()["refresh_token"])


BODIES: Mapping[str, Any] = {
    "DefinitionBody": {"api_definition": {**API, "api_id": "", "proxy": {**API["proxy"], "listen_path": "/new/"}}},
    "LintBody": API,
    "Definition": API,
    "OpenAPI": {
        "openapi": "3.1.0",
        "info": {"title": "An import", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:9"}],
        "paths": {"/a": {"get": {"responses": {}}}},
    },
    "Session": SESSION,
    "Policy": {"name": "a policy", **SESSION},
    "Hook": HOOK,
    "Organisation": {"quota_max": 5},
    "OAuthClient": CLIENT,
    "User": {"email_address": "b@example.com"},
    "Rotation": {"overlap": 5},
    "AuthorizeClient": {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "key_rules": json.dumps(SESSION)},
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql-valkey"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    env = {}
    if request.param != "sqlite":
        postgresql, valkey = request.getfixturevalue("postgresql"), request.getfixturevalue("valkey_server")
        env = {"GATEWAY_DATABASE_URL": postgresql.new_database(), "VALKEY_URL": valkey.url, "GATEWAY_WORKERS": "2"}
    found = House(tmp_path_factory.mktemp("gateway"), env)
    yield found
    found.gateway.stop()


def test_the_document_is_what_the_code_says() -> None:
    assert FILE.read_text() == document_text(), "run python -m services.gateway.operator_document"
    assert (FILE.parent / "openapi.collection.json").read_text() == collection_text()


def test_there_is_a_row_for_each_route_and_no_other() -> None:
    assert {rule.endpoint for rule, _ in routes(described())} == OPERATIONS.keys()


def test_the_document_and_the_collection_are_served(house: House) -> None:
    assert requests.get(f"{house.url}/openapi.json", timeout=10).json() == DOCUMENT
    assert requests.get(f"{house.url}/openapi.collection.json", timeout=10).json()["info"]["name"] == DOCUMENT["info"]["title"]


@EACH_CALL
def test_every_call_that_is_asked_rightly_does_what_it_says(path: str, method: str, house: House) -> None:
    names = house.names(path, method)
    operation = SCHEMA[path][method]
    sent: dict[str, Any] = {}
    for kind, content in DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        body = {"ids": [names["name"]]} if name == "Revocation" else BODIES.get(name, house.pem)
        if path == "/api/apis/{key}":
            body = {"api_definition": {**API, "name": "changed"}}
        if method == "put" and name == "OAuthClient":
            body = {one: value for one, value in CLIENT.items() if one != "secret"}
        if path == "/api/apis/keys/basic/{name}":
            body = {**SESSION, "basic_auth_data": {"password": "correct horse"}}
        sent = {"body": body, "media_type": kind}
    case: Case = operation.Case(path_parameters={one.name: names[one.name] for one in operation.path_parameters}, **sent)
    if path == "/tyk/health":
        case.query["api_id"] = "one"
    if path == "/api/gatehouse/deliveries/replay":
        case.query["all"] = "1"
    answer = case.call(base_url=house.url, headers=KEY, timeout=10)
    assert (answer.status_code == 200) != (f"{method.upper()} {path}" in REFUSING), answer.text
    case.validate_response(answer, checks=CHECKS)
    if "activity" in path or path.endswith("/requests"):
        assert answer.json()["data"], "a row that is as documented"


def _nobody(path: str) -> str:
    """Fill a path in with what does not exist."""
    filled = path.replace("{what}", "errors" if "{of}" not in path else "endpoint").replace("{number}", "1")
    return re.sub("{[a-z]+[12]}", "1", re.sub("{[a-z_]+}", "nobody", filled))


@EACH_PATH
def test_a_method_that_no_call_has_is_refused(path: str, house: House) -> None:
    answer = requests.patch(house.url + _nobody(path), headers=KEY, timeout=10)
    assert answer.status_code == 405
    assert {method.upper() for method in DOCUMENT["paths"][path]} <= set(answer.headers["Allow"].split(", "))
    kind = "ApiError" if path.startswith("/api/") else "TykError" if path.startswith("/tyk/") else "Error"
    assert answer.json().keys() == set(DOCUMENT["components"]["schemas"][kind]["required"])


@EACH_CALL
def test_a_call_needs_the_key_that_the_document_says(path: str, method: str, house: House) -> None:
    schemes = [
        DOCUMENT["components"]["securitySchemes"][name]["name"] for one in DOCUMENT["paths"][path][method]["security"] for name in one
    ]
    keys = [{}, WRONG, *({**KEY, name.lower(): "wrong"} for name in schemes)]
    for headers in keys:
        answer = requests.request(method, house.url + _nobody(path), headers=headers, timeout=10)
        if not schemes:
            assert answer.ok or path == "/ready"
        elif path.startswith("/tyk/"):
            assert (answer.status_code, answer.json()["code"]) == (403, "operator-key-wrong")
        else:
            assert (answer.status_code, answer.json()["Code"]) == (401, "operator-key-wrong")


@EACH_CALL
def test_every_call_answers_as_documented(path: str, method: str, house: House) -> None:
    """Ask as a caller who may do everything, without a key, and with what the document does not allow; about what exists, too."""
    operation = SCHEMA[path][method]
    asked = [(GenerationMode.POSITIVE, KEY), (GenerationMode.POSITIVE, {})]
    if any(True for _ in operation.query) or operation.body:
        asked.append((GenerationMode.NEGATIVE, KEY))
    names = iter([house.names(path, method)])  # for one call; the others name what does not exist
    for mode, headers in asked:

        @settings(max_examples=EXAMPLES, database=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(mode))
        def ask(case: Case) -> None:
            known = next(names, {})
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
            answer = case.call(base_url=house.url, headers=dict(headers), timeout=10)  # noqa: B023  asked in this turn
            assert answer.status_code < 500 or path == "/ready", (case.as_curl_command(), answer.text)
            # Schemathesis does not take 412 for a refusal; a linter answers with what is wrong.
            refuses = [negative_data_rejection] if answer.status_code != 412 and not path.endswith("/lint") else []
            case.validate_response(answer, checks=[*CHECKS, *refuses])

        ask()
