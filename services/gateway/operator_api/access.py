"""Who may call the operator API: whoever has the operator key."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from flask import Blueprint, g, request

from services.common import logging as logs
from services.gateway.operator_api import refusals
from services.gateway.operator_api.answers import is_tyk_api, render
from services.gateway.operator_api.changes.author import Author
from services.gateway.operator_api.refusals import OperatorRefusal
from services.gateway.operator_api.web import gateway
from services.gateway.operator_key import given_in, is_operator_key

# Tyk's clients name a key by its secret in the path.
_KEY_PATH: Final = re.compile(
    r"(/+tyk/+keys|/+api/+keys|/+api/+apis/+[^/]+/+keys|/+tyk/+oauth/+refresh)/+(?!create/*$).+", re.DOTALL | re.IGNORECASE
)


def hide_keys_in_logs() -> None:
    """Keep keys out of the logged path; runs for every request of the application, also for one that matches no route."""
    match = _KEY_PATH.match(request.path)
    if match is not None:
        g.logged_path = f"{match[1]}/***"


def protected(name: str, import_name: str) -> Blueprint:
    """Create a blueprint whose every call needs the operator key; it answers an OperatorRefusal in the shape of its API."""
    blueprint = Blueprint(name, import_name)
    blueprint.before_request(require_operator)
    blueprint.register_error_handler(OperatorRefusal, render)
    return blueprint


def require_operator() -> None:
    """Refuse a caller without the operator key, and a NUL in the URL. Raises OperatorRefusal.

    `/tyk/` takes the key in `x-tyk-authorization`, all else in `authorization`, with or without `Bearer`.
    """
    if is_tyk_api(request.path):
        if not is_operator_key(_sent("x-tyk-authorization"), gateway().operator_key):
            raise refusals.tyk_operator_key_wrong()
        _refuse_nul()
        return
    if not is_operator_key(given_in(_sent("authorization")), gateway().operator_key):
        raise refusals.operator_key_wrong()
    _refuse_nul()


def _refuse_nul() -> None:
    """Refuse a NUL in the URL: no name holds one, and some databases refuse to search for it."""
    if "\0" in request.path or b"%00" in request.query_string:
        raise refusals.nul_in_url()


def _sent(header: str) -> bytes:
    return request.headers.get(header, "").encode("utf-8", "surrogatepass")


def author() -> Author:
    """Return who makes a change and why, as the caller states it: `X-Gatehouse-Author`, `X-Gatehouse-Note`."""
    return Author(_said("x-gatehouse-author")[:200] or "operator", _said("x-gatehouse-note")[:1000])


def _said(header: str) -> str:
    """Return the text of a header, ready to be stored: UTF-8, as terminals send it, or else Latin-1; secrets are masked."""
    text = request.headers.get(header, "").strip()
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return logs.mask_secrets(text)
