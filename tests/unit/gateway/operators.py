"""An operator API on a real database, with a gateway that notes what it is told. Fixtures for the tests of the API and the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from services.common.core_database import CoreDatabase
from services.gateway.cache.port import NotPurged
from services.gateway.compiler import interpret
from services.gateway.console.documents import DOCUMENT as DOCUMENT_FILE
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistakes
from services.gateway.exchange import Reply
from services.gateway.oauth.endpoints import Endpoints
from services.gateway.oauth.tokens import Tokens
from services.gateway.operator_api.blueprints import blueprints
from services.gateway.operator_api.web import EXTENSION
from services.gateway.settings import Settings
from services.gateway.stores.activity import ActivityStore
from services.gateway.stores.audit import AuditStore
from services.gateway.stores.callers import GATEWAY
from services.gateway.stores.certificates import CertificateStore
from services.gateway.stores.definition_model import StoredDefinition
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.hooks import HookStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.oauth import OAuthStore
from services.gateway.stores.operators import OperatorStore
from services.gateway.stores.organisations import OrganisationStore
from services.gateway.stores.policies import PolicyStore
from services.gateway.stores.sealing import Sealing

OPERATOR_KEY = "operator-key-of-the-test"
DOCUMENT = json.loads(DOCUMENT_FILE.read_text())


class NotedGateway:
    """The live set is compiled by nobody: `apis` are bare objects. unconfirmed: what publishing answers."""

    def __init__(self, database: CoreDatabase) -> None:
        self.operator_key = OPERATOR_KEY
        self.database = database
        self.caller = GATEWAY
        self.operators = OperatorStore(database)
        self.activity = ActivityStore(database, recording=True)
        self.audit = AuditStore(database)
        self.definitions: DefinitionStore = DefinitionStore(database)
        sealing = Sealing(database, Settings(master_key="m" * 32))
        self.keys_store = KeyStore(database, sealing)
        self.policies = PolicyStore(database)
        self.organisations_store = OrganisationStore(database)
        self.certificates_store = CertificateStore(database)
        self.speaks_tls = True
        self.oauth_store = OAuthStore(database, sealing)
        self.hooks = HookStore(database, sealing)
        tokens = Tokens(
            self.oauth_store,
            self.keys_store,
            self.definitions,
            self.policies,
            self.publish_keys,
            lambda: None,
            lifetime=3600,
            refresh_lifetime=86_400,
        )
        self.oauth = Endpoints(tokens)
        self.live = SimpleNamespace(current=SimpleNamespace(number=1, apis={}, broken={}, elsewhere={}))
        self.events = SimpleNamespace(fire=lambda *told: self.fired.append(told))
        self.announcements = SimpleNamespace(workers=lambda: ["worker-1"])
        self.health = SimpleNamespace(hello=lambda: Reply(200, [], b"{}"))
        self.fired: list[tuple[Any, ...]] = []
        self.unconfirmed: list[str] = []
        self.mistakes: Mistakes | None = None
        self.published: list[Any] = []
        self.reset: list[str] = []
        self.purged: list[str] = []
        self.valkey_away = False
        self.checked: list[tuple[str, str | None]] = []

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        self.checked.append((definition.api_id, replaces))
        if self.mistakes is not None:
            raise self.mistakes

    def publish_definitions(self) -> list[str]:
        return self._publish("definitions")

    def publish_organisations(self) -> list[str]:
        return self._publish("organisations")

    def publish_certificates(self) -> list[str]:
        return self._publish("certificates")

    def publish_reload(self) -> list[str]:
        return self._publish("reload")

    def _publish(self, kind: str) -> list[str]:
        self.live.current.number += 1
        self.live.current.apis = {stored.api_id: self._served(stored) for stored in self.definitions.all()}
        self.published.append(kind)
        return self.unconfirmed

    @staticmethod
    def _served(stored: StoredDefinition) -> SimpleNamespace:
        definition = interpret(stored.raw)
        return SimpleNamespace(
            api_id=stored.api_id,
            internal_id=stored.id,
            org_id=definition.org_id,
            name=definition.name,
            internal=definition.internal,
            revision=stored.revision,
            event_handlers=definition.event_handlers,
            definition=definition,
        )

    def publish_keys(self, generation: int, hashes: Iterable[str]) -> list[str]:
        """What is announced must be what the log has, which an announcement takes the place of."""
        announced = set(hashes)
        told = self.keys_store.changes(generation - 1)
        self.published.append(announced)
        assert told.entries is not None and {item for number, item in told.entries if number == generation and item} == announced
        return self.unconfirmed

    def purge_answers(self, api_id: str) -> None:
        if self.valkey_away:
            raise NotPurged
        self.purged.append(api_id)

    def reset_counters(self, names: Iterable[str]) -> None:
        self.reset.extend(names)


@dataclass
class Operator:
    """Calls with the operator key."""

    app: Flask
    gateway: NotedGateway
    headers: dict[str, str] = field(default_factory=lambda: {"authorization": OPERATOR_KEY, "x-tyk-authorization": OPERATOR_KEY})

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> TestResponse:
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        answer = self.app.test_client().open(path, method=method, data=data, headers={**self.headers, **(headers or {})})
        self._refuse_undocumented(answer)
        return answer

    def _refuse_undocumented(self, answer: TestResponse) -> None:
        """Every answer stands in `openapi.json`, with its code; `tests/contract` looks at its form."""
        rule = answer.request.environ.get("gatehouse.rule")
        if not rule or answer.status_code == 500:
            return
        answers = DOCUMENT["paths"][re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)][answer.request.method.lower()]["responses"]
        assert str(answer.status_code) in answers, (rule, answer.status_code, answer.text)
        body = answer.get_json(silent=True)
        code = (body.get("Code") or body.get("code")) if answer.status_code >= 400 and isinstance(body, dict) else None
        found = answers[str(answer.status_code)]
        if "$ref" in found:
            found = DOCUMENT["components"]["responses"][found["$ref"].rpartition("/")[2]]
        assert code is None or f"`{code}`" in found["description"], (rule, code)

    def json(self, method: str, path: str, body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
        response = self.call(method, path, body, headers)
        assert response.status_code == status, response.text
        return response.get_json()

    def new_api(self, **changes: Any) -> str:
        """The internal id of a new API."""
        id: str = self.json("POST", "/api/apis", {"api_definition": definition(**changes), "hook_references": []})["Meta"]
        return id


def definition(**changes: Any) -> dict[str, Any]:
    """A keyed definition that is right. target, listen_path: of its proxy."""
    proxy = {"listen_path": changes.pop("listen_path", "/one/"), "target_url": changes.pop("target", "http://127.0.0.1:9/")}
    return {
        "name": "One",
        "api_id": "one",
        "org_id": "default",
        "active": True,
        "auth": {"auth_header_name": "authorization"},
        "definition": {"location": "header", "key": ""},
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default", "expires": ""}}},
        "proxy": {**proxy, "strip_listen_path": True},
        **changes,
    }


def session(*api_ids: str, **changes: Any) -> dict[str, Any]:
    """A session object with rights to the given APIs."""
    rights = {api_id: {"api_id": api_id, "api_name": "", "versions": ["Default"]} for api_id in api_ids}
    return {
        "rate": 100,
        "per": 60,
        "expires": 0,
        "quota_max": -1,
        "quota_renewal_rate": 60,
        "access_rights": rights,
        "org_id": "default",
        **changes,
    }


@pytest.fixture
def gateway(database: CoreDatabase) -> NotedGateway:
    return NotedGateway(database)


@pytest.fixture
def operator(gateway: NotedGateway) -> Operator:
    app = Flask("operator", static_folder=None)
    app.url_map.strict_slashes = False
    app.extensions[EXTENSION] = gateway
    for blueprint in blueprints():
        app.register_blueprint(blueprint)

    @app.before_request
    def name_the_route() -> None:
        request.environ["gatehouse.rule"] = request.url_rule.rule if request.url_rule else ""

    return Operator(app, gateway)


Build = Callable[..., dict[str, Any]]


@pytest.fixture
def make_definition() -> Build:
    return definition


@pytest.fixture
def make_session() -> Build:
    return session
