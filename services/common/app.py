"""The base of every service's Flask application.

`create_app` gives: a request id on every answer, one place where errors are rendered (each service in the shape of its original system),
`/health` apart from `/ready`, `/metrics`, an OpenAPI document by flask-smorest, structured logs, a body limit. No stack trace leaves a
service.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response, g, request
from flask.json.provider import DefaultJSONProvider
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from services.common import logging as logs
from services.common import request_id, trace_context
from services.common.checks import Checks
from services.common.core_database import Transactions, is_transient, is_unavailable, refuses_writes
from services.common.metrics.families import Families
from services.common.readiness import DatabaseCheck, DiskSpace
from services.common.refusal import Refusal
from services.common.store_guard import StoreUnavailable

log = logs.get(__name__)

# (status, message, code, fields) → the answer in the service's own shape
RenderError = Callable[[int, str, str, Mapping[str, Any] | None], Response]

DEFAULT_BODY_LIMIT = 2 * 1024 * 1024


class _JSON(DefaultJSONProvider):
    sort_keys = False
    ensure_ascii = False
    compact = True

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON. Raises ValueError for all that cannot be read, endlessly deep JSON among it."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class _Request(Request):
    """A request whose body is refused when it is too long, also when its length is not said before (chunked)."""

    def get_data(self, *args: Any, **options: Any) -> Any:
        """Read the body, as Werkzeug does, which takes a beginning of the greatest length for the whole. Raises RequestEntityTooLarge."""
        data = super().get_data(*args, **options)
        if self.content_length is None and self.max_content_length and len(data) >= self.max_content_length and self._has_more():
            raise RequestEntityTooLarge
        return data

    def _has_more(self) -> bool:
        more: bytes = self.environ["wsgi.input"].read(1)
        return bool(more)


def plain_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render the house's own error body: `{"error", "code", "request_id", "fields"?}`."""
    body: dict[str, Any] = {"error": message, "code": code, "request_id": request_id.current()}
    if fields:
        body["fields"] = fields
    return Response(json.dumps(body, ensure_ascii=False), status, mimetype="application/json")


def create_app(
    service: str,
    *,
    version: str,
    database: Transactions[Any] | None = None,
    render_error: RenderError = plain_error,
    body_limit: int = DEFAULT_BODY_LIMIT,
    title: str | None = None,
    description: str = "",
    documented: bool = True,
) -> Flask:
    """Create the base application.

    service: its name (`tokens`). version: of the API, for OpenAPI. database: checked by `/ready`. render_error: gives errors the service's
    shape; it gets 404, 405, 413 and 500 too. body_limit: bytes.
    `g.logged_path`, when a service sets it, is logged instead of the path: for paths that hold a secret.
    documented: the service describes its calls by schemas, and serves them as `/openapi.json`.
    The application's `extensions` hold `checks` (Checks), `metrics` (the registry of this process) and, when it is documented, `api`
    (flask-smorest's Api, for its blueprints).
    """
    # a namespace package tells Flask no root path
    app = Flask(f"services.{service}", static_folder=None, root_path=str(Path(__file__).parents[1] / service))
    app.request_class = _Request
    app.json = _JSON(app)
    app.url_map.strict_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=body_limit,
        MAX_FORM_MEMORY_SIZE=body_limit,
        PROPAGATE_EXCEPTIONS=False,
    )
    checks = Checks()
    app.extensions["checks"] = checks
    if database is not None:
        database.init_app(app)
        checks.add("database", DatabaseCheck(service, database))
    registry = CollectorRegistry()
    app.extensions["metrics"] = registry
    registry.register(checks)
    if database is not None and database.dialect == "sqlite":
        registry.register(DiskSpace(database))
    _request_ids(app)
    if documented:  # first: flask-smorest has an answer of its own to errors
        _document(app, title or service, version, description, render_error)
    _errors(app, render_error)
    _observe(app, registry, checks)
    _health(app, service, checks)
    return app


def _request_ids(app: Flask) -> None:
    @app.before_request
    def enter() -> None:
        g.started = time.perf_counter()
        g.request_id = request_id.accept(request.headers.get(request_id.HEADER))
        request_id.enter(g.request_id)
        trace_context.enter(request.headers.get(trace_context.PARENT), request.headers.get(trace_context.STATE))

    @app.after_request
    def name(response: Response) -> Response:
        response.headers[request_id.HEADER] = g.get("request_id") or request_id.accept(None)
        return response

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        request_id.enter(None)
        trace_context.enter(None, None)


def _errors(app: Flask, render: RenderError) -> None:
    def answer(
        status: int, message: str, code: str, fields: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        response = render(status, message, code, fields)
        for name, value in (headers or {}).items():
            response.headers[name] = value
        return response

    @app.errorhandler(Refusal)
    def refused(error: Refusal) -> Response:
        return answer(error.status, error.message, error.code, error.fields, error.headers)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        headers = {
            name: value for name, value in error.get_headers() if name.lower() in ("allow", "retry-after", "www-authenticate", "location")
        }
        if error.response is not None:
            return app.make_response(error.get_response(request.environ))
        data = getattr(error, "data", None) or {}  # flask-smorest's abort and webargs leave what is wrong here
        fields = data.get("messages") or data.get("errors")
        if isinstance(error, RequestEntityTooLarge):
            return answer(413, "body too large", "body-too-large", headers=headers)
        message = data.get("message") or error.name.lower()
        return answer(status, message, error.name.lower().replace(" ", "-").replace("'", ""), fields, headers)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        if refused := refuses_writes(error):
            log.error("database refused a write", error=f"{type(error).__name__}: {error.__cause__ or ''}")
            return answer(503, _REFUSES_WRITES[refused], f"database-{refused}", headers={"Retry-After": "10"})
        if is_unavailable(error) or is_transient(error):
            reason = error if isinstance(error, StoreUnavailable) else error.__cause__ or ""
            log.error("database unavailable", error=f"{type(error).__name__}: {reason}")
            return answer(503, "database unavailable", "database-unavailable", headers={"Retry-After": "1"})
        log.exception("unexpected error", path=g.get("logged_path") or request.path, method=request.method)
        return answer(500, "internal error", "internal-error")


def _document(app: Flask, title: str, version: str, description: str, render: RenderError) -> None:
    # Imported here: a service without schemas is spared 3 MB in each of its workers.
    from marshmallow import ValidationError

    from services.common.documented import Api

    app.config.update(
        API_TITLE=title,
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": description}},
    )
    app.extensions["api"] = Api(app)

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> Response:
        fields = error.messages if isinstance(error.messages, dict) else {"_": error.messages}
        return render(422, "some fields are not valid", "invalid-fields", fields)


def _observe(app: Flask, registry: CollectorRegistry, checks: Checks) -> None:
    count = Counter("http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
    seconds = Histogram("http_request_seconds", "Time to answer.", ["route"], registry=registry)
    ProcessCollector(registry=registry)

    counts = functools.cache(lambda method, route, status: count.labels(method, route, status))
    times = functools.cache(lambda route: seconds.labels(route))

    def observed(method: str, route: str, path: str, status: int, spent: float) -> None:
        counts(method if method in _METHODS else "(other)", route, status).inc()
        times(route).observe(spent)
        if route not in _QUIET:
            log.info("request", method=method, path=path, status=status, ms=round(spent * 1000, 2))

    app.extensions["observed"] = observed  # for what answers before the application does

    @app.after_request
    def measure(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "(none)"
        spent = time.perf_counter() - g.get("started", time.perf_counter())
        observed(request.method, route, g.get("logged_path") or request.path, response.status_code, spent)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        checks.refresh()
        seat = app.extensions.get("seat")  # where gunicorn has started this process: among others
        return Response(seat.text() if seat is not None else Families(registry.collect()).text(), mimetype="text/plain; version=0.0.4")


_REFUSES_WRITES = {"full": "the disk of the database is full", "read-only": "the database can only be read"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/health", "/hello", "/ready", "/metrics"})


def _health(app: Flask, service: str, checks: Checks) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok", "service": service}

    @app.get("/ready")
    def ready() -> tuple[dict[str, Any], int]:
        found = checks.run()
        good = all(state == "ok" for state in found.values())
        return {"status": "ready" if good else "not ready", "service": service, "checks": found}, 200 if good else 503
