"""Pages for people: the archive at `/` and the visitor at `/visitor`. They use the public API like any other client."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, abort, request

FOLDER = Path(__file__).parent / "pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?\Z").match


def register(app: Flask) -> Callable[[], Response]:
    """Add the visitor's page and what both pages are made of; what answers at `/` a client that `wants_page`."""
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.is_file()}

    def page(name: str) -> Response:
        text = files[name].decode().replace("{{root}}", html.escape(root(), quote=True))
        answer = Response(text, content_type="text/html; charset=utf-8")
        answer.headers["Cache-Control"] = "no-cache"
        answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
        return guarded(answer)

    @app.get("/visitor")
    def visitor() -> Response:
        return page("visitor.html")

    @app.get("/pages/<name>")
    def part(name: str) -> Response:
        kind = _KINDS.get(Path(name).suffix)
        if kind is None or name not in files:
            abort(404)
        answer = Response(files[name], content_type=kind)
        answer.headers["Cache-Control"] = "no-cache"
        answer.set_etag(hashlib.sha256(files[name]).hexdigest()[:16])
        answer.make_conditional(request)
        return guarded(answer)

    return lambda: page("archive.html")


def wants_page() -> bool:
    """Whether the client prefers HTML to JSON; who takes anything gets JSON."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def root() -> str:
    """Where the service is mounted, with a slash at the end."""
    prefix = request.headers.get("X-Forwarded-Prefix", "").rstrip("/")
    return f"{prefix}/" if _PREFIX(prefix) else "/"


def guarded(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
