"""The OpenAPI document, the collection and the page of the operator's port, as they are served."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from services.gateway.console import documents


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("operator", static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(documents.blueprint)
    return app.test_client()


def test_the_library_is_as_it_was_published() -> None:
    digest = "dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b"
    assert hashlib.sha256(documents.REDOC.read_bytes()).hexdigest() == digest
    assert "The MIT License" in documents.REDOC.with_name("LICENSE").read_text()


def test_the_files_are_served_without_a_key(client: FlaskClient) -> None:
    for path, file in (("/openapi.json", documents.DOCUMENT), ("/openapi.collection.json", documents.COLLECTION)):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.get_json() == json.loads(file.read_text())


def test_the_page_asks_for_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert not re.search(r"https?:", policy)
    loaded = re.findall(r'(?:src|spec-url)="([^"]+)"', answer.text)
    assert sorted(loaded) == ["docs/redoc.js", "openapi.json"]
    assert {client.get(f"/{path}").status_code for path in loaded} == {200}


def test_a_slash_at_the_end_would_break_its_addresses(client: FlaskClient) -> None:
    assert client.get("/docs/").status_code == 404
