"""flask-smorest for services: its `Blueprint` with types, and its `Api` with an OpenAPI document that is written when it is first asked
for. Writing it takes longer than building the application, and most processes are never asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import flask
import flask_smorest
import marshmallow
from apispec import APISpec
from flask import Flask, Response, json

PATH = "/openapi.json"

View = TypeVar("View", bound=Callable[..., Any])
Schema = marshmallow.Schema | type[marshmallow.Schema]
Location = Literal["json", "query", "form", "headers", "cookies", "files", "path"]

if TYPE_CHECKING:

    class Blueprint(flask.Blueprint):
        """flask-smorest's, which has no types: those of its decorators that services use. At run time it is flask-smorest's itself."""

        description: str

        def __init__(self, name: str, import_name: str, *, description: str = "") -> None: ...

        def arguments(
            self, schema: Schema, *, location: Location = "json", required: bool = True, description: str | None = None
        ) -> Callable[[View], View]:
            """Read what comes in by a schema; the view gets it as its first argument after those of the path."""

        def response(
            self,
            status_code: int,
            schema: Schema | Mapping[str, Any] | None = None,
            *,
            content_type: str | None = None,
            description: str | None = None,
            headers: Mapping[str, Any] | None = None,
        ) -> Callable[[View], View]:
            """Write the answer of the view by a schema, or only document a view that returns a Response."""

        def alt_response(
            self,
            status_code: int,
            response: str | None = None,
            *,
            schema: Schema | Mapping[str, Any] | None = None,
            content_type: str | None = None,
            description: str | None = None,
            headers: Mapping[str, Any] | None = None,
            success: bool = False,
        ) -> Callable[[View], View]:
            """Document another answer."""

        @staticmethod
        def doc(**description: Any) -> Callable[[View], View]:
            """Document an operation by hand, in OpenAPI's own words."""

        def register_views_in_doc(self, api: Any, app: Flask, spec: Any, *, name: str, parameters: list[Any] | None) -> None: ...

else:
    Blueprint = flask_smorest.Blueprint


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Registers blueprints and serves the document at `/openapi.json`. Until then `spec` holds only what was put into it by hand."""

    def __init__(self, app: Flask) -> None:
        self._later: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._document: dict[str, Any] | None = None
        super().__init__(app)
        app.cli.commands.pop("openapi")  # it shows `spec` as it is
        app.add_url_rule(PATH, "openapi_json", lambda: Response(json.dumps(self.document(), indent=2), mimetype="application/json"))

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Add the routes now, their documentation later. options: flask's."""
        name = options.get("name", blueprint.name)
        self._app.extensions["flask-smorest"]["blp_name_to_api"][name] = self
        self._app.register_blueprint(blueprint, **options)

        def describe() -> None:
            blueprint.register_views_in_doc(self, self._app, self.spec, name=name, parameters=None)
            self.spec.tag({"name": name, "description": blueprint.description})

        self._later.append(describe)

    def add(self, describe: Callable[[APISpec], None]) -> None:
        """Let a function write its part of the document when that is first asked for."""
        self._later.append(lambda: describe(self.spec))

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document of all that is registered; the caller must not change it. Thread-safe."""
        with self._lock:
            if self._document is None:
                for describe in self._later:
                    describe()
                self._document = self.spec.to_dict()
            return self._document
