"""Two organisations, each with operators: every call of the operator API, asked by the one for what is the other's.

Each route stands in `CASES`; a route that does not is a failure. Everything of the organisation `b` has a name in `B`, and no answer to the
operator of `a` holds any of these names, unless it was asked for by this name.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from services.common.webhooks.outbox import Call
from services.gateway.analytics.rollups import Names, roll_up
from services.gateway.definitions.claims import Occupied
from services.gateway.exchange import Reply
from services.gateway.keys.model import secret_hash
from services.gateway.operator_api import rules
from services.gateway.stores.analytics import AnalyticsStore
from services.gateway.stores.events import Outbox
from services.gateway.stores.oauth import NewToken
from tests.support import client_certificates
from tests.unit.gateway.analytics.making import batch, record

LONG_AGO = 1_700_000_000.0
TODAY = dt.datetime.now(dt.UTC)
NOW = (TODAY - dt.timedelta(days=1)).strftime("%d/%m/%Y/") + (TODAY + dt.timedelta(days=1)).strftime("%d/%m/%Y")
DATES = "<d1>/<m1>/<y1>/<d2>/<m2>/<y2>"
OF_ALL = "apis, versions, codes, errors, keys, endpoints, oauthids"
OF_ONE = "api, versions, codes, errors, endpoint, key, keys, oauthid"
Case = tuple[str, str]


@dataclass
class House:
    """Both organisations. key: access key by operator, `a-admin` and so on. of: ids of what an organisation has."""

    operator: Any
    key: dict[str, str] = field(default_factory=dict)
    of: dict[str, dict[str, str]] = field(default_factory=dict)

    def call(self, who: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        sent = {"authorization": self.key[who], "x-tyk-authorization": self.key[who], **(headers or {})}
        return self.operator.call(method, path, body, sent)

    def json(self, who: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.call(who, method, path, body)
        assert answer.status_code == status, (method, path, answer.text)
        return answer.get_json()


def session_of(api_id: str, **changes: Any) -> dict[str, Any]:
    return {"rate": 1, "per": 1, "access_rights": {api_id: {"api_id": api_id, "versions": ["Default"]}}, **changes}


@pytest.fixture
def house(operator: Any, make_definition: Any) -> House:
    """All things of both, made by their own operators."""
    gateway = operator.gateway
    outbox = Outbox(gateway.database)
    gateway.events = SimpleNamespace(outbox=outbox, wake=lambda: None, fire=lambda *_: None)
    house = House(operator)
    for org in ("a", "b"):
        for role in ("reader", "editor", "admin"):
            made = operator.json("POST", "/api/users", {"email_address": f"{role}@{org}.example", "org_id": f"org-{org}", "role": role})
            house.key[f"{org}-{role}"] = made["access_key"]
        who, api_id = f"{org}-admin", f"api-of-{org}"
        made = house.json(
            who, "POST", "/api/hooks", {"name": f"hook-of-{org}", "method": "POST", "target_path": "http://h/", "secret": "s"}
        )
        hook = made["Meta"]
        document = make_definition(api_id=api_id, name=f"name-of-{org}", listen_path=f"/{org}/", org_id="", use_oauth2=True)
        reference = {"event_name": "AuthFailure", "event_timeout": 0, "hook": {"id": hook}}
        id = house.json(who, "POST", "/api/apis", {"api_definition": document, "hook_references": [reference]})["Meta"]
        house.json(who, "PUT", f"/api/apis/{id}", {"api_definition": {**document, "name": f"new-name-of-{org}"}})
        house.json(who, "POST", "/api/portal/policies", {"id": f"policy-of-{org}", "name": "p", "access_rights": {api_id: {}}})
        key = house.json(who, "POST", "/api/keys", session_of(api_id, alias=f"alias-of-{org}"))
        user = house.json(who, "POST", f"/api/apis/keys/basic/user-of-{org}", session_of(api_id, basic_auth_data={"password": "p"}))
        house.json(who, "POST", f"/tyk/keys/chosen-of-{org}", session_of(api_id))
        client = {"api_id": api_id, "client_id": f"client-of-{org}", "redirect_uri": "https://c.example/"}
        house.json(who, "POST", "/tyk/oauth/clients/create", client)
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        hashes = secret_hash(f"token-of-{org}"), secret_hash(f"refresh-of-{org}")
        token = NewToken(hashes[0], f"family-of-{org}", session_of(api_id, org_id=f"org-{org}"), ends, hashes[1], {}, ends)
        gateway.oauth_store.give(f"client-of-{org}", token)
        certificate = house.json(who, "POST", "/tyk/certs", client_certificates.make(f"certificate-of-{org}").pem)["id"]
        house.json(who, "POST", f"/tyk/org/keys/org-{org}", {"rate": 5, "per": 1, "quota_max": -1})
        requests = [record(TODAY.timestamp(), api_id, key["id"], f"/path-of-{org}", org_id=f"org-{org}", client=f"client-of-{org}")]
        AnalyticsStore(gateway.database).write(batch(), requests, roll_up(requests, Names()))
        operators = house.json(who, "GET", "/api/users")["users"]
        outbox.put([Call(f"msg-of-{org}", hook, "http://h", "E", api_id, "POST", "http://h/", (), "{}", (), 0)], LONG_AGO)
        house.of[org] = {
            "api": id, "api_id": api_id, "hook": hook, "policy": f"policy-of-{org}", "key": key["id"], "secret": key["key_id"],
            "user": user["id"], "user_name": f"org-{org}user-of-{org}", "chosen": f"chosen-of-{org}", "operator": operators[0]["id"],
            "delivery": f"msg-of-{org}", "org": f"org-{org}", "client": f"client-of-{org}", "certificate": certificate,
            "alias": f"alias-of-{org}", "name": f"name-of-{org}", "refresh": f"refresh-of-{org}",
        }  # fmt: skip
    for delivery in outbox.lease(LONG_AGO + 9, 1, 10, {}, 10):
        outbox.given_up(delivery, 500, "the target answered 500", LONG_AGO + 10)
    return house


def reference(**changes: Any) -> dict[str, Any]:
    return {"event_name": "AuthFailure", "hook": {"id": "{hook}", "method": "POST", **changes}}


def api(**changes: Any) -> dict[str, Any]:
    proxy = {"target_url": "http://t/", "listen_path": changes.pop("listen_path", "/n/")}
    versions = {"not_versioned": True, "versions": {"Default": {"name": "Default", "expires": ""}}}
    return {"name": "n", "version_data": versions, "proxy": proxy, **changes}


OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "n", "version": "1"},
    "paths": {"/x": {"get": {"responses": {"200": {"description": "x"}}}}},
}

# (method, rule) → [(path, body, status, code)]: what the administrator of `a` gets. `{api}` and so on: of `b`.
# A path without a code is a list, or concerns only `a`: it is 200 and must not hold anything of `b`.
CASES: dict[Case, list[tuple[Any, ...]]] = {
    ("GET", "/api/apis"): [("/api/apis?p=-1",)],
    ("GET", "/api/apis/search"): [("/api/apis/search?q=name-of",)],
    ("GET", "/api/apis/<key>"): [("/api/apis/{api}", None, 404, "api-unknown"), ("/api/apis/{api_id}", None, 404, "api-unknown")],
    ("POST", "/api/apis"): [
        ("/api/apis", {"api_definition": api(org_id="{org}")}, 403, "organisation-not-yours"),
        ("/api/apis?dry_run=1", {"api_definition": api(org_id="{org}")}, 403, "organisation-not-yours"),
        ("/api/apis", {"api_definition": api(api_id="{api_id}")}, 409, "api-id-taken"),
        ("/api/apis", {"api_definition": api(listen_path="/b/")}, 400, "invalid-definition"),
        ("/api/apis", {"api_definition": api(), "hook_references": [reference()]}, 400, "invalid-definition"),
        ("/api/apis", {"api_definition": api(), "hook_references": [reference(target_path="http://mine/")]}, 400, "invalid-definition"),
    ],
    ("GET", "/api/apis/<key>/openapi"): [("/api/apis/{api}/openapi", None, 404, "api-unknown")],
    ("PUT", "/api/apis/<key>"): [("/api/apis/{api}", {"api_definition": {}}, 404, "api-unknown")],
    ("DELETE", "/api/apis/<key>"): [("/api/apis/{api_id}", None, 404, "api-unknown")],
    ("GET", "/api/gatehouse/apis/<key>/revisions"): [("/api/gatehouse/apis/{api}/revisions", None, 404, "api-unknown")],
    ("GET", "/api/gatehouse/apis/<key>/revisions/<int:number>"): [
        ("/api/gatehouse/apis/{api_id}/revisions/1", None, 404, "revision-unknown"),
    ],
    ("POST", "/api/gatehouse/apis/<key>/revisions/<int:number>/restore"): [
        ("/api/gatehouse/apis/{api_id}/revisions/1/restore", None, 404, "revision-unknown"),
    ],
    ("POST", "/api/gatehouse/apis/<key>/undo"): [("/api/gatehouse/apis/{api}/undo", None, 404, "api-unknown")],
    ("POST", "/api/gatehouse/apis/<key>/redo"): [("/api/gatehouse/apis/{api}/redo", None, 404, "api-unknown")],
    ("POST", "/api/gatehouse/lint"): [
        ("/api/gatehouse/lint", api(org_id="{org}"), 403, "organisation-not-yours"),
    ],
    ("POST", "/api/gatehouse/import/openapi"): [
        ("/api/gatehouse/import/openapi?listen_path=/b/&target=http://t/", OPENAPI, 400, "invalid-definition"),
    ],
    ("GET", "/api/gatehouse/workers"): [("/api/gatehouse/workers",)],
    ("GET", "/api/keys"): [("/api/keys?p=-1",)],
    ("POST", "/api/keys"): [
        ("/api/keys", {"access_rights": {"{api_id}": {}}}, 400, "invalid-key"),
        ("/api/keys", {"apply_policies": ["{policy}"]}, 400, "invalid-key"),
        ("/api/keys", {"access_rights": {"api-of-a": {}}, "org_id": "{org}"}, 403, "organisation-not-yours"),
        ("/api/keys", {"rate": 1, "per": 1}, 403, "opens-everything"),
    ],
    ("GET", "/api/keys/<name>"): [
        ("/api/keys/{key}", None, 400, "key-not-owned"),
        ("/api/keys/{secret}", None, 404, "key-not-found"),
        ("/api/keys/{user_name}", None, 404, "key-not-found"),
        ("/api/keys/{chosen}", None, 404, "key-not-found"),
    ],
    ("PUT", "/api/keys/<name>"): [("/api/keys/{key}", {}, 400, "key-not-owned"), ("/api/keys/{secret}", {}, 404, "key-not-found")],
    ("DELETE", "/api/keys/<name>"): [("/api/keys/{key}", None, 400, "key-not-owned"), ("/api/keys/{chosen}", None, 404, "key-not-found")],
    ("POST", "/api/keys/<name>/rotate"): [("/api/keys/{key}/rotate", None, 400, "key-not-owned")],
    ("POST", "/api/gatehouse/keys/revoke"): [("/api/gatehouse/keys/revoke", {"ids": ["{key}"]}, 404, "key-not-found")],
    ("POST", "/api/apis/keys/basic/<name>"): [
        ("/api/apis/keys/basic/u", {"access_rights": {"{api_id}": {}}, "basic_auth_data": {"password": "p"}}, 400, "invalid-key"),
        ("/api/apis/keys/basic/u", {"basic_auth_data": {"password": "p"}}, 403, "opens-everything"),
    ],
    ("GET", "/api/apis/<key>/keys"): [("/api/apis/{api}/keys", None, 404, "api-unknown"), ("/api/apis/api-of-a/keys?p=-1",)],
    ("GET", "/api/apis/<key>/keys/<name>"): [
        ("/api/apis/{api}/keys/{key}", None, 404, "api-unknown"),
        ("/api/apis/api-of-a/keys/{key}", None, 400, "key-not-owned"),
    ],
    ("PUT", "/api/apis/<key>/keys/<name>"): [("/api/apis/api-of-a/keys/{key}", {}, 400, "key-not-owned")],
    ("DELETE", "/api/apis/<key>/keys/<name>"): [("/api/apis/api-of-a/keys/{key}", None, 400, "key-not-owned")],
    ("GET", "/api/hooks"): [("/api/hooks?p=-1",)],
    ("GET", "/api/hooks/<id>"): [("/api/hooks/{hook}", None, 404, "hook-unknown")],
    ("POST", "/api/hooks"): [
        ("/api/hooks", {"method": "POST", "target_path": "http://h/", "org_id": "{org}"}, 403, "organisation-not-yours"),
    ],
    ("PUT", "/api/hooks/<id>"): [("/api/hooks/{hook}", {"method": "POST", "target_path": "http://h/"}, 404, "hook-unknown")],
    ("DELETE", "/api/hooks/<id>"): [("/api/hooks/{hook}", None, 404, "hook-unknown")],
    ("GET", "/api/gatehouse/deliveries"): [("/api/gatehouse/deliveries",), ("/api/gatehouse/deliveries?hook_id={hook}",)],
    ("GET", "/api/gatehouse/deliveries/<id>"): [("/api/gatehouse/deliveries/{delivery}", None, 404, "delivery-unknown")],
    ("POST", "/api/gatehouse/deliveries/<id>/replay"): [("/api/gatehouse/deliveries/{delivery}/replay", None, 404, "delivery-unknown")],
    ("POST", "/api/gatehouse/deliveries/replay"): [("/api/gatehouse/deliveries/replay?all=1",)],
    ("GET", "/api/portal/policies"): [("/api/portal/policies?p=-1",)],
    ("GET", "/api/portal/policies/<id>"): [("/api/portal/policies/{policy}", None, 404, "policy-unknown")],
    ("POST", "/api/portal/policies"): [
        ("/api/portal/policies", {"access_rights": {"{api_id}": {}}}, 400, "invalid-policy"),
        ("/api/portal/policies", {"org_id": "{org}"}, 403, "organisation-not-yours"),
        ("/api/portal/policies", {"id": "{policy}"}, 409, "policy-taken"),
    ],
    ("PUT", "/api/portal/policies/<id>"): [("/api/portal/policies/{policy}", {}, 404, "policy-unknown")],
    ("DELETE", "/api/portal/policies/<id>"): [("/api/portal/policies/{policy}?force=1", None, 404, "policy-unknown")],
    ("GET", "/api/users"): [("/api/users?p=-1",)],
    ("GET", "/api/users/<id>"): [("/api/users/{operator}", None, 404, "operator-unknown")],
    ("POST", "/api/users"): [("/api/users", {"email_address": "x", "org_id": "{org}"}, 403, "organisation-not-yours")],
    ("PUT", "/api/users/<id>"): [("/api/users/{operator}", {"email_address": "x"}, 404, "operator-unknown")],
    ("DELETE", "/api/users/<id>"): [("/api/users/{operator}", None, 404, "operator-unknown")],
    ("POST", "/api/users/<id>/rotate"): [("/api/users/{operator}/rotate", None, 404, "operator-unknown")],
    ("POST", "/api/users/<id>/actions/reset"): [("/api/users/{operator}/actions/reset", {}, 404, "operator-unknown")],
    ("GET", f"/api/activity/<any({OF_ALL}):what>/{DATES}"): [
        (f"/api/activity/keys/{NOW}?res=month&p=-1",),
        (f"/api/activity/apis/{NOW}?api_id={{api_id}}",),
    ],
    ("GET", f"/api/activity/<any({OF_ONE}):what>/<of>/{DATES}"): [
        (f"/api/activity/api/{{api_id}}/{NOW}",),
        (f"/api/activity/key/{{key}}/{NOW}",),
    ],
    ("GET", "/api/gatehouse/requests"): [("/api/gatehouse/requests?page_size=1000",), ("/api/gatehouse/requests?key={key}",)],
    ("GET", "/api/gatehouse/audit"): [("/api/gatehouse/audit?page_size=1000",)],
    ("GET", "/tyk/apis"): [("/tyk/apis",)],
    ("GET", "/tyk/apis/<api_id>"): [("/tyk/apis/{api_id}", None, 404, "api-unknown")],
    ("POST", "/tyk/apis"): [
        ("/tyk/apis", api(api_id="{api_id}"), 409, "api-id-taken"),
        ("/tyk/apis", api(org_id="{org}"), 403, "organisation-not-yours"),
    ],
    ("POST", "/tyk/apis/<api_id>"): [
        ("/tyk/apis/{api_id}", api(), 409, "api-id-taken"),
    ],
    ("PUT", "/tyk/apis/<api_id>"): [("/tyk/apis/{api_id}", {"name": "n"}, 404, "api-unknown")],
    ("DELETE", "/tyk/apis/<api_id>"): [("/tyk/apis/{api_id}", None, 404, "api-unknown")],
    ("DELETE", "/tyk/apis"): [("/tyk/apis", None, 400, "api-id-missing")],
    ("GET", "/tyk/health"): [("/tyk/health?api_id={api_id}", None, 404, "api-unknown")],
    ("GET", "/tyk/reload"): [("/tyk/reload",)],
    ("GET", "/tyk/reload/group"): [("/tyk/reload/group",)],
    ("DELETE", "/tyk/cache/<api_id>"): [("/tyk/cache/{api_id}", None, 404, "api-unknown")],
    ("GET", "/tyk/keys"): [("/tyk/keys",), ("/tyk/keys?api_id={api_id}", None, 400, "api-unknown"), ("/tyk/keys?filter={key}",)],
    ("POST", "/tyk/keys/create"): [("/tyk/keys/create", {"apply_policy_id": "{policy}"}, 400, "invalid-key")],
    ("POST", "/tyk/keys"): [("/tyk/keys", {"access_rights": {"{api_id}": {}}}, 400, "invalid-key")],
    ("POST", "/tyk/keys/<name>"): [
        ("/tyk/keys/n", {"access_rights": {"{api_id}": {}}}, 400, "invalid-key"),
        ("/tyk/keys/{chosen}", {"access_rights": {"api-of-a": {}}}, 409, "key-taken"),
        ("/tyk/keys/{secret}", {"access_rights": {"api-of-a": {}}}, 409, "key-taken"),
    ],
    ("PUT", "/tyk/keys/<name>"): [("/tyk/keys/{chosen}", {"access_rights": {"api-of-a": {}}}, 409, "key-taken")],
    ("GET", "/tyk/keys/<name>"): [
        ("/tyk/keys/{key}", None, 404, "key-not-found"),
        ("/tyk/keys/{secret}", None, 404, "key-not-found"),
        ("/tyk/keys/{chosen}?api_id={api_id}", None, 400, "api-unknown"),
    ],
    # `deleted`, as if there were none
    ("DELETE", "/tyk/keys/<name>"): [("/tyk/keys/{key}",), ("/tyk/keys/{chosen}",), ("/tyk/keys/{secret}",)],
    ("GET", "/tyk/org/keys"): [("/tyk/org/keys",)],
    ("GET", "/tyk/org/keys/<org_id>"): [("/tyk/org/keys/{org}", None, 404, "organisation-unknown")],
    ("POST", "/tyk/org/keys/<org_id>"): [("/tyk/org/keys/{org}", {}, 403, "organisation-not-yours")],
    ("PUT", "/tyk/org/keys/<org_id>"): [("/tyk/org/keys/{org}", {}, 403, "organisation-not-yours")],
    ("DELETE", "/tyk/org/keys/<org_id>"): [("/tyk/org/keys/{org}", None, 404, "organisation-unknown")],
    ("GET", "/api/certs"): [("/api/certs?p=-1&mode=detailed",), ("/api/certs?org_id={org}",)],
    ("POST", "/api/certs"): [("/api/certs?org_id={org}", None, 403, "organisation-not-yours")],
    ("GET", "/api/certs/<id>"): [("/api/certs/{certificate}", None, 404, "certificate-not-found")],
    ("DELETE", "/api/certs/<id>"): [("/api/certs/{certificate}",)],
    ("GET", "/tyk/certs"): [("/tyk/certs?mode=detailed",), ("/tyk/certs?org_id={org}",)],
    ("POST", "/tyk/certs"): [("/tyk/certs?org_id={org}", None, 403, "organisation-not-yours")],
    ("GET", "/tyk/certs/<ids>"): [("/tyk/certs/{certificate}", None, 404, "certificate-not-found"), ("/tyk/certs/{certificate},x",)],
    ("DELETE", "/tyk/certs/<id>"): [("/tyk/certs/{certificate}",)],  # `removed`, as if there were none
    ("GET", "/api/apis/oauth/<api_id>"): [("/api/apis/oauth/{api_id}", None, 404, "api-unknown"), ("/api/apis/oauth/api-of-a",)],
    ("POST", "/api/apis/oauth/<api_id>"): [
        ("/api/apis/oauth/{api}", {}, 404, "api-unknown"),
        ("/api/apis/oauth/api-of-a", {"policy_id": "{policy}"}, 400, "invalid-client"),
        ("/api/apis/oauth/api-of-a", {"org_id": "{org}"}, 403, "organisation-not-yours"),
        ("/api/apis/oauth/api-of-a", {"client_id": "{client}"}, 409, "client-taken"),
    ],
    ("GET", "/api/apis/oauth/<api_id>/<client_id>"): [
        ("/api/apis/oauth/{api_id}/{client}", None, 404, "api-unknown"),
        ("/api/apis/oauth/api-of-a/{client}", None, 404, "client-unknown"),
    ],
    ("PUT", "/api/apis/oauth/<api_id>/<client_id>"): [("/api/apis/oauth/api-of-a/{client}", {}, 404, "client-unknown")],
    ("DELETE", "/api/apis/oauth/<api_id>/<client_id>"): [("/api/apis/oauth/{api_id}/{client}", None, 404, "api-unknown")],
    ("POST", "/tyk/oauth/clients/create"): [("/tyk/oauth/clients/create", {"api_id": "{api_id}"}, 404, "api-unknown")],
    ("GET", "/tyk/oauth/clients/<api_id>"): [("/tyk/oauth/clients/{api_id}", None, 404, "api-unknown"), ("/tyk/oauth/clients/api-of-a",)],
    ("GET", "/tyk/oauth/clients/<api_id>/<client_id>"): [("/tyk/oauth/clients/api-of-a/{client}", None, 404, "client-unknown")],
    ("PUT", "/tyk/oauth/clients/<api_id>/<client_id>"): [("/tyk/oauth/clients/{api_id}/{client}", {}, 404, "api-unknown")],
    ("DELETE", "/tyk/oauth/clients/<api_id>/<client_id>"): [("/tyk/oauth/clients/api-of-a/{client}", None, 404, "client-unknown")],
    ("GET", "/tyk/oauth/clients/<api_id>/<client_id>/tokens"): [
        ("/tyk/oauth/clients/{api_id}/{client}/tokens", None, 404, "api-unknown"),
    ],
    ("DELETE", "/tyk/oauth/clients/<api_id>/<client_id>/tokens"): [
        ("/tyk/oauth/clients/api-of-a/{client}/tokens", None, 404, "client-unknown"),
    ],
    ("DELETE", "/tyk/oauth/refresh/<path:token>"): [("/tyk/oauth/refresh/{refresh}", None, 404, "client-unknown")],
    ("POST", "/tyk/oauth/authorize-client"): [("/tyk/oauth/authorize-client", None, 404, "client-unknown")],  # see below
    ("GET", "/tyk/policies"): [("/tyk/policies",)],
    ("GET", "/tyk/policies/<id>"): [("/tyk/policies/{policy}", None, 404, "policy-unknown")],
    ("POST", "/tyk/policies"): [("/tyk/policies", {"id": "{policy}"}, 409, "policy-taken")],
    ("PUT", "/tyk/policies/<id>"): [("/tyk/policies/{policy}", {}, 404, "policy-unknown")],
    ("DELETE", "/tyk/policies/<id>"): [("/tyk/policies/{policy}?force=1", None, 404, "policy-unknown")],
}  # fmt: skip
OPEN = {("GET", "/hello")}  # needs no key


def routes(app: Any) -> set[Case]:
    return {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}} - OPEN


def test_every_route_stands_here(operator: Any) -> None:
    """A new one needs a case here, and a line in `rules.py`."""
    assert routes(operator.app) == set(CASES)
    endpoints = {rule.endpoint for rule in operator.app.url_map.iter_rules() if ("GET", rule.rule) not in OPEN}
    assert [endpoint for endpoint in endpoints if rules.rule_of(endpoint) is None] == []


def contents(house: House) -> Any:
    """Everything of `b`, as the first key sees it."""
    operator = house.operator
    everything = [
        operator.json("GET", path)
        for path in (
            *("/tyk/apis", "/api/hooks?p=-1", "/tyk/policies", "/api/users?p=-1"),
            *("/tyk/org/keys/org-b", "/api/gatehouse/deliveries/msg-of-b"),
        )
    ]  # fmt: skip
    keys = [one for one in operator.json("GET", "/api/keys?p=-1")["data"]["details"] if one["org_id"] == "org-b"]
    own = [[one for one in listed if one.get("org_id") == "org-b"] if isinstance(listed, list) else listed for listed in everything]
    return json.dumps([own, keys], sort_keys=True)


def test_what_is_the_others_does_not_exist(house: House) -> None:
    """Every case of every route; one house for all of them, because none of them changes what is there."""
    others, before = house.of["b"], contents(house)

    def filled(value: Any) -> Any:
        return json.loads(re.sub(r"\{(\w+)\}", lambda match: others.get(match[1], match[0]), json.dumps(value)))

    wrong = []
    # the audit first: later it has what was attempted here, by the names that were asked for
    for (method, _), cases in sorted(CASES.items(), key=lambda one: "audit" not in one[0][1]):
        for path, body, status, code in [(*case, None, 200, "")[:4] if len(case) == 1 else case for case in cases]:
            path, body = filled(path), filled(body)
            answer = house.call("a-admin", method, path, body)
            document = answer.get_json()
            said = "" if status == 200 else document.get("Code") or document.get("code")
            names = [*others.values(), "of-b", "@b"]
            seen = [name for name in names if name in answer.text and name not in path + json.dumps(body)]
            if (answer.status_code, said, seen) != (status, code, []):
                wrong.append((method, path, seen, answer.text))
    assert wrong == []
    assert contents(house) == before, "nothing of the other changed"


def test_roles(house: House) -> None:
    """A reader only reads, an editor changes no operators and organisations, and is told so in Tyk's words."""
    wrong = []
    for method, rule in CASES:
        path = re.sub(r"<[^>]*>", "1", rule)
        is_read = (method == "GET" and not rule.startswith("/tyk/reload")) or rule == "/api/gatehouse/lint"
        is_for_admins = rule.startswith(("/api/users", "/api/gatehouse/audit")) or (rule.startswith("/tyk/org") and not is_read)
        for role, allowed in (("reader", is_read and not is_for_admins), ("editor", not is_for_admins), ("admin", True)):
            answer = house.call(f"a-{role}", method, path, None if method == "GET" else {})
            message = answer.get_json().get("Message") or answer.get_json().get("message") if answer.status_code == 403 else ""
            if message.startswith("access denied: You do not have permission to access  /") is allowed:
                wrong.append((role, method, path, answer.text))
    assert wrong == []


def test_a_forbidden_call_does_not_repeat_the_secret_that_names_its_key(house: House) -> None:
    secret = house.of["a"]["secret"]
    for method, path in (
        ("DELETE", "/tyk/keys/"),
        ("PUT", "/api/keys/"),
        ("DELETE", "/api/apis/api-of-a/keys/"),
        ("DELETE", "/tyk/oauth/refresh/"),
    ):
        refused = house.call("a-reader", method, path + secret, {})
        assert (refused.status_code, secret in refused.text) == (403, False)
        assert f"access denied: You do not have permission to access  {path}***" in refused.text
    assert "access  /api/apis/x" in house.call("a-reader", "DELETE", "/api/apis/x").text


def test_each_sees_and_changes_its_own(house: House) -> None:
    own = house.of["b"]
    assert [one["api_definition"]["org_id"] for one in house.json("b-reader", "GET", "/api/apis")["apis"]] == ["org-b"]
    assert [one["id"] for one in house.json("b-reader", "GET", "/api/hooks")["hooks"]] == [own["hook"]]
    assert len(house.json("b-reader", "GET", "/tyk/keys")["keys"]) == 4, "one is an access token"
    assert [one["id"] for one in house.json("b-reader", "GET", "/api/gatehouse/deliveries")["deliveries"]] == [own["delivery"]]
    assert [one["org_id"] for one in house.json("b-admin", "GET", "/api/users")["users"]] == ["org-b"] * 3
    assert house.json("b-reader", "GET", "/tyk/org/keys")["keys"] == ["org-b"]
    assert len(house.json("b-reader", "GET", f"/api/gatehouse/apis/{own['api']}/revisions")["revisions"]) == 2
    for name in ("key", "secret", "user_name", "chosen"):
        house.json("b-reader", "GET", f"/api/keys/{own[name]}")
    house.json("b-editor", "POST", f"/api/gatehouse/apis/{own['api']}/undo")
    assert house.json("b-reader", "GET", f"/api/apis/{own['api']}")["api_definition"]["name"] == own["name"]
    house.json("b-editor", "DELETE", f"/api/apis/{own['api']}")
    house.json("b-editor", "POST", f"/api/gatehouse/apis/{own['api_id']}/undo")
    house.json("b-editor", "POST", f"/api/gatehouse/deliveries/{own['delivery']}/replay")
    house.json("b-editor", "POST", "/api/gatehouse/keys/revoke", {"ids": [own["key"], own["chosen"]]})
    assert set(house.json("b-reader", "GET", "/api/gatehouse/workers")["apis"]) == {"api-of-b"}


def test_what_is_created_is_the_organisations(house: House, make_definition: Any) -> None:
    id = house.json("a-editor", "POST", "/api/apis", {"api_definition": make_definition(api_id="new", listen_path="/new/", org_id=None)})[
        "Meta"
    ]
    assert house.json("a-editor", "GET", f"/api/apis/{id}")["api_definition"]["org_id"] == "org-a"
    made = house.json("a-editor", "POST", "/api/keys", {"access_rights": {"new": {}}})
    assert (made["data"]["org_id"], made["key_id"][:5]) == ("org-a", "org-a")
    assert (
        house.json("a-editor", "GET", f"/tyk/keys/{house.json('a-editor', 'POST', '/tyk/keys/mine', session_of('new'))['key']}")["org_id"]
        == "org-a"
    )
    policy = house.json("a-editor", "POST", "/tyk/policies", {"access_rights": {"new": {}}})["key"]
    assert house.json("a-editor", "GET", f"/tyk/policies/{policy}")["org_id"] == "org-a"
    hook = house.json("a-editor", "POST", "/api/hooks", {"method": "POST", "target_path": "http://h/"})["Meta"]
    assert house.json("a-editor", "GET", f"/api/hooks/{hook}")["org_id"] == "org-a"
    operator = house.json("a-admin", "POST", "/api/users", {"first_name": "New"})["Meta"]
    assert house.json("a-admin", "GET", f"/api/users/{operator}")["org_id"] == "org-a"
    assert house.operator.json("POST", "/api/hooks", {"method": "POST", "target_path": "http://h/"})
    kept = house.operator.json("PUT", f"/tyk/policies/{policy}", {"name": "of the first key", "access_rights": {"new": {}}})
    assert kept["action"] == "modified"
    assert house.json("a-editor", "GET", f"/tyk/policies/{policy}")["org_id"] == "org-a", "it stays where it is"


def test_a_handler_cannot_name_the_webhook_of_another_organisation(house: House, make_definition: Any) -> None:
    """Its secret would sign the calls."""
    for name in ("_id", "id"):
        meta = {name: house.of["b"]["hook"], "method": "POST", "target_path": "http://mine/"}
        handlers = {"events": {"AuthFailure": [{"handler_name": "eh_web_hook_handler", "handler_meta": meta}]}}
        document = make_definition(api_id="new", listen_path="/new/", org_id="org-a", event_handlers=handlers)
        refused = house.json("a-editor", "POST", "/api/apis", {"api_definition": document}, status=400)
        assert [one["pointer"] for one in refused["Errors"]] == ["/api_definition/event_handlers/events/AuthFailure"]
        house.json("b-editor", "POST", "/api/apis?dry_run=1", {"api_definition": {**document, "org_id": "org-b"}})
        assert not house.json("a-editor", "POST", "/api/gatehouse/lint", document)["valid"]


def test_the_owner_of_a_place_is_not_named(house: House, make_definition: Any) -> None:
    """By the live set, which this gateway has not."""
    taken = Occupied(house.of["b"]["api_id"], "name-of-b", "/b/")
    house.operator.gateway.mistakes = taken
    document = make_definition(api_id="new", listen_path="/b/", org_id="org-a")
    refused = house.json("a-editor", "POST", "/api/apis", {"api_definition": document}, status=400)
    assert refused["Errors"] == [{"pointer": "/api_definition/proxy/listen_path", "message": "another API already listens on /b/"}]
    own = Occupied(house.of["a"]["api_id"], "name-of-a", "/a/")
    house.operator.gateway.mistakes = own
    assert "name-of-a" in house.call("a-editor", "POST", "/api/apis", {"api_definition": document}).text


def test_a_policy_cannot_open_what_is_the_others(house: House) -> None:
    """A key with no rights but those of its policies would open every API when they are taken away."""
    house.json("a-editor", "POST", "/api/keys", {"apply_policies": ["policy-of-a"]})
    for path in ("/api/portal/policies/policy-of-a", "/tyk/policies/policy-of-a"):
        for body in ({}, {"access_rights": {"api-of-a": {}}, "partitions": {"quota": True}}):
            assert "opens-everything" in house.call("a-editor", "PUT", path, body).text
    house.json("a-editor", "PUT", "/tyk/policies/policy-of-a", {"access_rights": {"api-of-a": {}}, "rate": 5, "per": 1})
    house.json("a-editor", "DELETE", "/tyk/policies/policy-of-a?force=1")
    assert "opens-everything" in house.call("a-editor", "POST", "/tyk/policies", {"id": "policy-of-a"}).text
    house.json("a-editor", "POST", "/tyk/policies", {"id": "limits", "rate": 5, "per": 1})
    assert "opens-everything" in house.call("a-editor", "POST", "/api/keys", {"apply_policies": ["limits"]}).text
    own = house.json("a-editor", "POST", "/api/keys", {**session_of("api-of-a"), "apply_policies": ["limits"]})
    house.json("a-editor", "PUT", "/tyk/policies/limits", {"rate": 6, "per": 1})
    assert "opens-everything" in house.call("a-editor", "PUT", f"/api/keys/{own['id']}", {"apply_policies": ["limits"]}).text


def test_a_policy_that_keys_of_another_organisation_name_is_not_taken_over(house: House) -> None:
    """The keys would be switched on again, under the limits of somebody else."""
    house.json("b-editor", "POST", "/api/keys", session_of("api-of-b", apply_policies=["policy-of-b"]))
    house.json("b-editor", "DELETE", "/tyk/policies/policy-of-b?force=1")
    taking = {"id": "policy-of-b", "access_rights": {"api-of-a": {}}, "partitions": {"quota": True}}
    for path, code in (("/tyk/policies", "code"), ("/api/portal/policies", "Code")):
        assert house.json("a-editor", "POST", path, taking, status=409)[code] == "policy-of-others"
    house.json("b-editor", "POST", "/tyk/policies", {"id": "policy-of-b", "access_rights": {"api-of-b": {}}})


def test_a_policy_stays_in_the_organisation_that_uses_it(house: House) -> None:
    operator = house.operator
    moved = {"org_id": "org-a", "access_rights": {"api-of-a": {}}}
    key = house.json("b-editor", "POST", "/api/keys", session_of("api-of-b", apply_policies=["policy-of-b"]))
    assert operator.json("PUT", "/tyk/policies/policy-of-b", moved, status=409)["code"] == "policy-of-others"
    house.json("b-editor", "DELETE", f"/api/keys/{key['id']}")
    client = f"/tyk/oauth/clients/api-of-b/{house.of['b']['client']}"
    house.json("b-editor", "PUT", client, {"policy_id": "policy-of-b"})
    assert operator.json("PUT", "/tyk/policies/policy-of-b", moved, status=409)["code"] == "policy-of-others"
    house.json("b-editor", "PUT", client, {"policy_id": ""})
    operator.json("PUT", "/tyk/policies/policy-of-b", moved)
    house.json("b-editor", "GET", "/tyk/policies/policy-of-b", status=404)


def test_what_another_organisation_deleted_is_not_taken_over(house: House, make_definition: Any) -> None:
    own = house.of["b"]
    house.json("b-editor", "DELETE", f"/api/apis/{own['api']}")
    for ids in ({"api_id": own["api_id"]}, {"id": own["api"], "api_id": "new"}):
        document = make_definition(**{"listen_path": "/new/", "org_id": None, **ids})
        assert house.json("a-editor", "POST", "/api/apis", {"api_definition": document}, status=409)["Code"] == "api-id-taken"
    house.json("a-editor", "POST", f"/api/gatehouse/apis/{own['api_id']}/undo", status=404)
    assert house.json("a-editor", "GET", "/api/gatehouse/deliveries")["total"] == 1
    house.json("b-editor", "POST", f"/api/gatehouse/apis/{own['api_id']}/undo")


def test_a_definition_that_moves_takes_its_history_along_but_not_what_it_was(house: House) -> None:
    own = house.of["b"]
    document = house.operator.json("GET", f"/api/apis/{own['api']}")["api_definition"]
    house.operator.json("PUT", f"/api/apis/{own['api']}", {"api_definition": {**document, "org_id": "org-a", "event_handlers": {}}})
    assert [one["number"] for one in house.json("a-reader", "GET", f"/api/gatehouse/apis/{own['api']}/revisions")["revisions"]] == [3]
    house.json("a-reader", "GET", f"/api/gatehouse/apis/{own['api']}/revisions/1", status=404)
    compared = house.json("a-reader", "GET", f"/api/gatehouse/apis/{own['api']}/revisions/3")
    assert (compared["against"], "name-of-b" in json.dumps(compared["diff"])) == (None, True)
    assert house.call("a-editor", "POST", f"/api/gatehouse/apis/{own['api']}/undo").status_code == 409
    house.json("b-reader", "GET", f"/api/gatehouse/apis/{own['api']}/revisions", status=404)
    records = house.json("a-admin", "GET", f"/api/gatehouse/audit?id={own['api']}")["records"]
    assert (records[0]["result"], records[0]["operator"]) == ("nothing-to-undo", "editor@a.example")
    records = [one for one in records if one["result"] == "done"]
    assert [(one["before"], (one["after"] or {}).get("org_id")) for one in records] == [(None, "org-a")]
    before = house.json("b-admin", "GET", f"/api/gatehouse/audit?id={own['api']}")["records"][0]
    assert (before["before"]["org_id"], before["after"]) == ("org-b", None)


def test_who_has_no_organisation_sees_everything(house: House) -> None:
    made = house.operator.json("POST", "/api/users", {"email_address": "all@house.example", "role": "admin"})
    house.key["all"] = made["access_key"]
    assert {one["org_id"] for one in house.json("all", "GET", "/tyk/apis")} == {"org-a", "org-b"}
    house.json("all", "POST", "/api/keys", {"rate": 1, "per": 1})
    assert house.json("all", "POST", "/api/users", {"email_address": "x", "org_id": "org-b"})["Meta"]


def test_a_call_without_a_rule_is_for_who_may_everything(house: House) -> None:
    assert rules.may("admin", "", "unplanned.call", "GET")
    assert not rules.may("admin", "org-a", "unplanned.call", "GET")
    assert not rules.may("editor", "", "unplanned.call", "GET")


def test_no_api_takes_requests_from_one_of_another_organisation(house: House, make_definition: Any) -> None:
    """The longest listen path wins: a longer one would get its clients' keys."""

    def save(path: str, domain: str = "", method: str = "POST") -> Any:
        document = make_definition(api_id="new", listen_path=path, domain=domain, org_id=None)
        return house.call("a-editor", method, "/api/apis" if method == "POST" else "/api/apis/new", {"api_definition": document})

    for path, domain in (("/b/login/", ""), ("/b", "host.example"), ("/{any}/login/", ""), ("/{any}/", "")):
        refused = save(path, domain)
        assert refused.status_code == 400, path
        assert refused.get_json()["Errors"] == [
            {"pointer": "/api_definition/proxy/listen_path", "message": "this would take requests from an API of another organisation"}
        ]
    current = house.operator.gateway.live.current
    current.elsewhere = {api_id: current.apis.pop(api_id).definition.raw for api_id in ("api-of-a", "api-of-b")}
    assert save("/b/login/").status_code == 400, "a gateway with other tags serves what it would take from"
    assert save("/a/deeper/").status_code == 200, "below its own"
    assert save("/b/login/", method="PUT").status_code == 400
    document = make_definition(api_id="new", listen_path="/b/login/", org_id="org-a")
    house.operator.json("PUT", "/api/apis/new", {"api_definition": document})
    assert save("/b/login/", method="PUT").status_code == 200, "who sees everything has put it there"
    assert house.operator.call("POST", "/api/apis", {"api_definition": make_definition(listen_path="/b/x/")}).status_code == 200


def test_a_login_server_gives_away_only_what_is_its_organisations(house: House) -> None:
    """It states the rights of an access token itself, in a form."""
    asked: list[Any] = []
    gateway = house.operator.gateway
    gateway.oauth = SimpleNamespace(authorize_client=lambda api, fields: asked.append(api.api_id) or Reply(200, [], b"{}"))
    for api in gateway.live.current.apis.values():
        api.oauth = True

    def ask(client: str, key_rules: Any) -> Any:
        form = {"client_id": client, "response_type": "code", "key_rules": json.dumps(key_rules)}
        headers = {"x-tyk-authorization": house.key["a-editor"]}
        return house.operator.app.test_client().post("/tyk/oauth/authorize-client", data=form, headers=headers)

    assert ask("client-of-b", session_of("api-of-a")).status_code == 404
    for named in (session_of("api-of-b"), {"apply_policies": ["policy-of-b"]}):
        assert ask("client-of-a", named).get_json()["code"] == "invalid-key"
    assert ask("client-of-a", session_of("api-of-a", org_id="org-b")).get_json()["code"] == "organisation-not-yours"
    assert asked == []
    assert ask("client-of-a", session_of("api-of-a")).status_code == 200
    assert asked == ["api-of-a"]
    record = house.json("a-admin", "GET", "/api/gatehouse/audit?kind=client")["records"][0]
    assert (record["route"], record["result"]) == ("/tyk/oauth/authorize-client", "done")
