"""The texts of the two files beside the gateway's code: the OpenAPI document and the collection of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Flask

from services.common.app import create_app
from services.gateway.operator_api.blueprints import blueprints
from services.gateway.operator_document import collection, operator_document


def described() -> Flask:
    """Create an application that has all calls of the port; it is never asked."""
    app = create_app("gateway", version="", documented=False)
    for blueprint in blueprints():
        app.register_blueprint(blueprint)
    return app


def document_text() -> str:
    return _text(operator_document.document(described()))


def collection_text() -> str:
    return _text(collection.collection(operator_document.document(described())))


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
