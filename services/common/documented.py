"""flask-smorest's `Api`, whose OpenAPI document is written when it is first asked for: to write it takes longer than to build the
application, and most processes are never asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import flask_smorest
from flask import Flask, Response, json

PATH = "/openapi.json"


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Registers blueprints and serves the document at `/openapi.json`. Until then `spec` holds only what was put into it by hand."""

    def __init__(self, app: Flask) -> None:
        self._later: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._document: dict[str, Any] | None = None
        super().__init__(app)
        app.cli.commands.pop("openapi")  # it shows `spec` as it is
        app.add_url_rule(PATH, "openapi_json", lambda: Response(json.dumps(self.document(), indent=2), mimetype="application/json"))

    def register_blueprint(self, blueprint: flask_smorest.Blueprint, **options: Any) -> None:
        """The routes now, their documentation later. options: flask's."""
        name = options.get("name", blueprint.name)
        self._app.extensions["flask-smorest"]["blp_name_to_api"][name] = self
        self._app.register_blueprint(blueprint, **options)

        def describe() -> None:
            blueprint.register_views_in_doc(self, self._app, self.spec, name=name, parameters=None)
            self.spec.tag({"name": name, "description": blueprint.description})

        self._later.append(describe)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of all that is registered; not to be changed. Thread-safe."""
        with self._lock:
            if self._document is None:
                for describe in self._later:
                    describe()
                self._document = self.spec.to_dict()
            return self._document
