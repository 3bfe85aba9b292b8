"""The two shapes of answers: the Advanced Management API's envelope below `/api/`, the gateway API's plain object below `/tyk/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flask import Response, request

from services.common import request_id
from services.gateway.definitions.reader import Mistake
from services.gateway.operator_api.refusals import OperatorRefusal
from services.gateway.stores.oauth import Client


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(json.dumps(body, ensure_ascii=False) + "\n", status, headers, mimetype="application/json")


def done(
    message: str,
    meta: Any = "",
    *,
    unconfirmed: Iterable[str] = (),
    warnings: Iterable[Mistake] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Answer a write with the envelope of `/api/`.

    unconfirmed: workers that do not serve it yet; they and warnings are named only when there are any.
    """
    body: dict[str, Any] = {"Status": "OK", "Message": message, "Meta": meta, **more}
    missing, doubtful = list(unconfirmed), places(warnings)
    if missing:
        body["Unconfirmed"] = missing
    if doubtful:
        body["Warnings"] = doubtful
    return answer(body, headers=headers)


def changed(key: str, action: str, unconfirmed: Iterable[str] = (), warnings: Iterable[Mistake] = (), **more: Any) -> Response:
    """Answer a write below `/tyk/`. unconfirmed, warnings: as for `done`."""
    body: dict[str, Any] = {"key": key, "status": "ok", "action": action, **more}
    missing, doubtful = list(unconfirmed), places(warnings)
    if missing:
        body["unconfirmed"] = missing
    if doubtful:
        body["warnings"] = doubtful
    return answer(body)


def certificate_answer(message: str, unconfirmed: Iterable[str], warnings: Iterable[str] = (), **more: Any) -> Response:
    """Answer a write of certificates, below `/tyk/` and `/api/` the same way, as Tyk does. unconfirmed, warnings: as for `done`."""
    told = {"unconfirmed": list(unconfirmed), "warnings": list(warnings)}
    return answer({**more, "status": "ok", "message": message, **{name: found for name, found in told.items() if found}})


def places(mistakes: Iterable[Mistake]) -> list[dict[str, str]]:
    """List mistakes or warnings as answers show them."""
    return [{"pointer": mistake.pointer, "message": mistake.message} for mistake in mistakes]


def pages(total: int, number: int, size: int) -> int:
    """Count the `pages` of a list: the highest `p` that shows something, as in v0.9, whose samples say 0 for a list of one page.

    number: the `p` that was asked for, negative = everything on one page. A client that counts from 0 up to `pages` sees all.
    """
    return 0 if number < 0 else max(0, (total - 1) // size)


def shown_client(client: Client) -> dict[str, Any]:
    """Return an OAuth2 client as answers show it, without its secret."""
    return {
        "client_id": client.id,
        "api_id": client.api_id,
        "redirect_uri": client.redirect_uris[0] if client.redirect_uris else "",
        "redirect_uris": list(client.redirect_uris),
        "policy_id": client.policy_id,
        "description": client.description,
        "meta_data": client.meta_data,
    }


def is_tyk_api(path: str) -> bool:
    """Whether a path is one of Tyk's gateway API."""
    return path == "/tyk" or path.startswith("/tyk/")


# Clearer messages for errors of the application itself: Tyk's, where it has one.
_WORDS: Final = {
    "not-found": "There is no such call; docs/operating.md lists the calls",
    "method-not-allowed": "Method not supported",
}


def error(
    status: int,
    message: str,
    code: str,
    mistakes: Iterable[Mistake] = (),
    headers: Mapping[str, str] | None = None,
    warnings: Iterable[Mistake] = (),
) -> Response:
    """Answer an error in the shape of the API that was called."""
    listed, doubtful = places(mistakes), places(warnings)
    message = _WORDS.get(code, message)
    body: dict[str, Any]
    if is_tyk_api(request.path):
        body = {"status": "error", "message": message, "error": message}
        names = ("code", "request_id", "errors", "warnings")
    else:
        body = {"Status": "Error", "Message": message, "Meta": None}
        names = ("Code", "RequestId", "Errors", "Warnings")
    body[names[0]] = code
    body[names[1]] = request_id.current()
    if listed:
        body[names[2]] = listed
    if doubtful:
        body[names[3]] = doubtful
    return answer(body, status, headers)


def render_error(status: int, message: str, code: str, fields: Mapping[str, Any] | None) -> Response:
    """Render an error of the application itself: in the shape of the API that was called, elsewhere in that of all services."""
    if request.path.startswith(("/api/", "/tyk/")):
        return error(status, message, code)
    body: dict[str, Any] = {"error": message, "code": code, "request_id": request_id.current()}
    if fields:
        body["fields"] = fields
    return Response(json.dumps(body, indent=4, ensure_ascii=False) + "\n", status, mimetype="application/json")


def render(refusal: OperatorRefusal) -> Response:
    """Render a refusal in the shape of the API that was called."""
    return error(refusal.status, refusal.message, refusal.code, refusal.mistakes, refusal.headers, refusal.warnings)
