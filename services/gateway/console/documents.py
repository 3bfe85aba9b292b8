"""What tells programs and people how to call the operator's port: its OpenAPI document, a collection of requests, and a page.

All say what `docs/` says, and nothing about the APIs, so nobody is asked for a key. The files are read when they are asked for: a worker
keeps none of them in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Blueprint, Response

from services.gateway.start_page import BRAND

blueprint = Blueprint("documents", __name__)
_GATEWAY: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = _GATEWAY / "openapi.json"
COLLECTION: Final = _GATEWAY / "openapi.collection.json"
REDOC: Final = Path(__file__).resolve().parent / "redoc" / "redoc.standalone.js"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_THEME: Final = (
    '{"typography": {"fontFamily": "system-ui, sans-serif", "headings": {"fontFamily": "system-ui, sans-serif"}, '
    '"code": {"fontFamily": "ui-monospace, monospace"}}}'
)
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Operator API – {BRAND}</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0 }} img[src^="https:"] {{ display: none }}</style>
</head>
<body>
<noscript><p>This page needs JavaScript. The document itself is at <a href="openapi.json">openapi.json</a>.</p></noscript>
<redoc spec-url="openapi.json" disable-search="true" native-scrollbars="true" expand-responses="" theme='{_THEME}'></redoc>
<script src="docs/redoc.js"></script>
</body>
</html>
"""


@blueprint.get("/openapi.json")
def openapi() -> Response:
    return _file(DOCUMENT, "application/json")


@blueprint.get("/openapi.collection.json")
def requests() -> Response:
    """Answer with the collection for Postman and its like."""
    return _file(COLLECTION, "application/json")


@blueprint.get("/docs", strict_slashes=True)  # its addresses are relative
def page() -> Response:
    """Show the document to people."""
    answer = Response(_PAGE, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@blueprint.get("/docs/redoc.js")
def redoc() -> Response:
    return _file(REDOC, "text/javascript")


@blueprint.after_request
def secure(answer: Response) -> Response:
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _file(path: Path, kind: str) -> Response:
    return Response(path.read_bytes(), content_type=f"{kind}; charset=utf-8", headers={"Cache-Control": "no-cache"})
