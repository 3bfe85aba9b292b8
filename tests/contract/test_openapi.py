"""`services/*/openapi.json` is the contract: it is what the code says and what is served, and every call answers as it says.

The services run as processes, on SQLite: what an answer looks like does not depend on the store.
"""

from __future__ import annotations

import contextlib
import importlib
import json
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
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.common import openapi
from tests.contract import service as contract
from tests.support.processes import ROOT, running

DOCUMENTS: Mapping[str, Any] = {
    path.parent.name: json.loads(path.read_text())
    for path in sorted(ROOT.glob("services/*/openapi.json"))
    if path.parent.name != "gateway"  # test_operator_api.py
}
CALLS = [
    pytest.param(service, path, method, id=f"{service} {method.upper()} {path}")
    for service, document in DOCUMENTS.items()
    for path, operations in document["paths"].items()
    for method in operations
    if method != "parameters"
]
CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
EXAMPLES = 5


class Running:
    """The services, each started when it is asked for the first time."""

    def __init__(self, folder: Path, until_the_end: contextlib.ExitStack) -> None:
        self._folder = folder
        self._until_the_end = until_the_end
        self._started: dict[str, tuple[str, Mapping[str, str]]] = {}

    def find(self, service: str) -> tuple[str, Mapping[str, str]]:
        """(base URL, headers of one who may do everything)."""
        if service not in self._started:
            known = contract.find(service)
            folder = self._folder / service
            folder.mkdir()
            environment = {f"{service.upper()}_DATABASE_URL": f"sqlite:///{folder}/db.sqlite", **known.environment(folder)}
            url, _ = self._until_the_end.enter_context(running(service, environment, folder))
            self._started[service] = (url, known.caller(url))
        return self._started[service]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with contextlib.ExitStack() as stack:
        yield Running(tmp_path_factory.mktemp("services"), stack)


def test_every_documented_service_is_asked() -> None:
    assert contract.names() == DOCUMENTS.keys()


@pytest.mark.parametrize("service", DOCUMENTS)
def test_the_document_is_what_the_code_says(service: str) -> None:
    described = importlib.import_module(f"services.{service}.app").describe()
    assert openapi.snapshot(service).read_text() == openapi.text(described), f"run python -m services.common.openapi {service}"


@pytest.mark.parametrize("service", DOCUMENTS)
def test_the_document_is_the_one_that_is_served(service: str, services: Running) -> None:
    url, _ = services.find(service)
    assert requests.get(f"{url}/openapi.json", timeout=10).json() == DOCUMENTS[service]


@pytest.mark.parametrize(("service", "path", "method"), CALLS)
def test_every_answer_has_a_schema(service: str, path: str, method: str) -> None:
    answers = DOCUMENTS[service]["paths"][path][method]["responses"]
    good = {status: answer for status, answer in answers.items() if status.startswith("2")}
    assert good
    bare = {"200"} if f"{method.upper()} {path}" in contract.find(service).bare else {"204"} & good.keys()
    assert {status for status, answer in good.items() if "content" not in answer} == bare
    assert "default" in answers


@pytest.mark.parametrize(("service", "path", "method"), CALLS)
def test_every_call_answers_as_documented(service: str, path: str, method: str, services: Running) -> None:
    """Ask as a caller who may do everything, without a credential, and with what the document does not allow."""
    url, caller = services.find(service)
    operation = schemathesis.openapi.from_dict(DOCUMENTS[service])[path][method]
    at_once = {name: value for name, value in contract.find(service).at_once.items() if any(name == one.name for one in operation.query)}

    asked = [(GenerationMode.POSITIVE, caller), (GenerationMode.POSITIVE, {})]
    if any(True for _ in operation.query) or operation.body:
        asked.append((GenerationMode.NEGATIVE, caller))
    for mode, headers in asked:

        @settings(max_examples=EXAMPLES, database=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(mode))
        def ask(case: Case) -> None:
            case.query.update(at_once)
            answer = case.call(base_url=url, headers=dict(headers), timeout=10)  # noqa: B023  asked in this turn
            assert answer.status_code != 500, (case.as_curl_command(), answer.text)
            case.validate_response(answer, checks=CHECKS)

        ask()
