"""Who calls the operator API, and what they may do: who has the first key may do everything, an operator what the role allows.

A call is made on behalf of its caller (`changes/on_behalf.py`), which gives it the scope of the operator's organisation and the records of
its writes. Refused attempts of those who are known are recorded here.
"""

from __future__ import annotations

import contextlib
import re
from typing import Final

from flask import Blueprint, Response, g, request

from services.common import logging as logs
from services.common import request_id
from services.gateway.operator_api import refusals, rules
from services.gateway.operator_api.answers import is_tyk_api, render
from services.gateway.operator_api.changes.author import Author
from services.gateway.operator_api.refusals import OperatorRefusal
from services.gateway.operator_api.web import enter, whole_gateway
from services.gateway.operator_key import given_in, is_operator_key
from services.gateway.stores.audit import DONE, Call
from services.gateway.stores.callers import OtherOrganisation
from services.gateway.stores.operators import Operator
from services.gateway.stores.policies import OpensEverything

log = logs.get(__name__)

_IDS: Final = ("client_id", "id", "key", "api_id", "org_id", "ids")  # what routes call the id of what they are about; no secrets
_FIRST: Final = "operator"  # what the holder of the first key is called
# Characters that the history keeps: of all, and of an operator's name in it.
_LONGEST_AUTHOR: Final = 200
_LONGEST_NAME: Final = 100

# Tyk's clients name a key by its secret in the path.
_KEY_PATH: Final = re.compile(
    r"(/+tyk/+keys|/+api/+keys|/+api/+apis/+[^/]+/+keys|/+api/+activity/+keys?|/+tyk/+oauth/+refresh)/+(?!create/*$).+",
    re.DOTALL | re.IGNORECASE,
)


def hide_keys_in_logs() -> None:
    """Keep keys out of the logged path; runs for every request of the application, also for one that matches no route."""
    match = _KEY_PATH.match(request.path)
    if match is not None:
        g.logged_path = f"{match[1]}/***"


def protected(name: str, import_name: str) -> Blueprint:
    """Create a blueprint whose every call needs a key; it answers an OperatorRefusal in the shape of its API."""
    blueprint = Blueprint(name, import_name)
    blueprint.before_request(require_operator)
    blueprint.register_error_handler(OperatorRefusal, _refused)
    for error in (OtherOrganisation, OpensEverything):
        blueprint.register_error_handler(error, lambda error: _refused(_by_store(error)))
    blueprint.after_request(_record)
    return blueprint


def require_operator() -> None:
    """Let a caller with a key enter; refuse others, what the role does not allow, and a NUL in the URL. Raises OperatorRefusal.

    `/tyk/` takes the key in `x-tyk-authorization`, all else in `authorization`, with or without `Bearer`.
    """
    whole = whole_gateway()
    is_tyk = is_tyk_api(request.path)
    given = _sent("x-tyk-authorization") if is_tyk else given_in(_sent("authorization"))
    operator = None
    if not is_operator_key(given, whole.operator_key):
        operator = whole.operators.by_key(given)
        if operator is None and is_tyk:
            raise refusals.tyk_operator_key_wrong()
        if operator is None:
            raise refusals.operator_key_wrong()
    g.operator = operator
    g.call = _call(operator)
    g.caller = whole.audit.recorder(g.call)
    if operator is not None and not rules.may(operator.role, operator.org_id, request.endpoint or "", request.method):
        raise refusals.operator_forbidden(g.get("logged_path") or request.path)
    _refuse_nul()
    enter(g.caller)


def _call(operator: Operator | None) -> Call:
    """Describe the call for the audit; without its path, in which a key may be named by its secret."""
    rule = rules.rule_of(request.endpoint or "")
    kind = rule.kind if rule else "unknown"
    given = request.view_args or {}
    item = "" if kind == "key" else next((str(given[name]) for name in _IDS if name in given), "")
    return Call(
        operator.id if operator else "",
        operator.name if operator else _FIRST,
        _stated_author(),
        _note(),
        request.remote_addr or "",
        request.method,
        str(request.url_rule),
        kind,
        logs.mask_secrets(item.replace("\0", "").encode("utf-8", "replace").decode()),
        operator.org_id if operator else "",
        request_id.current() or "",
    )


def _refused(refusal: OperatorRefusal) -> Response:
    g.refused = refusal.code
    return render(refusal)


def _by_store(error: Exception) -> OperatorRefusal:
    """Say what a store refuses whatever is written."""
    if isinstance(error, OtherOrganisation):
        return refusals.organisation_not_yours(error.own)
    return refusals.opens_everything()


def _record(response: Response) -> Response:
    """Record what the transactions of the call could not: a refused attempt, and what is no write of a store."""
    if "caller" not in g:
        return response
    if response.status_code == 503 and "refused" not in g:
        return response  # the database is away: to ask it again would take its time a second time
    endpoint = request.endpoint or ""
    code = str(g.get("refused") or ("failed" if response.status_code >= 400 else ""))
    is_write = rules.writes(endpoint, request.method)
    if code and (is_write or response.status_code in (401, 403)):
        _note_call(code, response.status_code)
    elif rules.is_recorded_after(endpoint):
        _note_call(DONE, response.status_code)
    return response


def _note_call(result: str, status: int) -> None:
    try:
        whole_gateway().audit.note(g.call, result, status)
    except Exception as error:  # nothing was changed, and the answer says what it says
        log.warning("refused call not recorded", result=result, error=type(error).__name__)


def _refuse_nul() -> None:
    """Refuse a NUL in the URL: no name holds one, and some databases refuse to search for it."""
    if "\0" in request.path or b"%00" in request.query_string:
        raise refusals.nul_in_url()


def _sent(header: str) -> bytes:
    return request.headers.get(header, "").encode("utf-8", "surrogatepass")


def author() -> Author:
    """Return who makes a change and why, as the caller states it: `X-Gatehouse-Author`, `X-Gatehouse-Note`; with the operator's name."""
    stated, name = _stated_author(), g.operator.name if g.operator else ""
    if stated and name and stated != name:  # the name is never cut off by what is stated
        name = name[:_LONGEST_NAME]
        return Author(f"{stated[: _LONGEST_AUTHOR - len(name) - 3]} ({name})", _note())
    return Author((stated or name or _FIRST)[:_LONGEST_AUTHOR], _note())


def _stated_author() -> str:
    return _said("x-gatehouse-author")[:_LONGEST_AUTHOR]


def _note() -> str:
    return _said("x-gatehouse-note")[:1000]


def _said(header: str) -> str:
    """Return the text of a header, ready to be stored: UTF-8, as terminals send it, or else Latin-1; secrets are masked."""
    text = request.headers.get(header, "").strip()
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return logs.mask_secrets(text)
