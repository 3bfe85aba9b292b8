"""A WSGI application that answers with its environment: what the server made of the bytes that it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the variables that are text, as JSON, and the body under `body`.

    `/raise`: fails. `/unread`: leaves the body where it is.
    """
    body = b"" if environ["PATH_INFO"] == "/unread" else environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/raise":
        raise RuntimeError("as it was asked to")
    seen = {name: value for name, value in environ.items() if isinstance(value, str)} | {"body": body.decode("latin-1")}
    content = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
