"""The request as scripts see it, and what becomes of what they changed.

Before authentication a change is a change of the request itself: all later stages see the new headers and the new path. After it, headers
are changed for the upstream only, so that nothing that was checked is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from services.common import logging as logs
from services.common.header_names import FRAMING
from services.gateway.definitions import values
from services.gateway.exchange import Exchange, Reply
from services.gateway.keys.model import Key
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_REFUSED, Refusal, RefusalKind
from services.gateway.routing.listen_paths import owned_length
from services.gateway.routing.paths import canonical
from services.gateway.scripts.scripts import Out
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.requests import HeaderSection

log = logs.get(__name__)

_MOST_PARAMETERS: Final = 1000
_LARGEST_META: Final = 64 * 1024
_DEEPEST_META: Final = 50
_SECRETS: Final = frozenset({"hmac_string", "basic_auth_data", "jwt_data"})
_OWN_IN_ANSWERS: Final = frozenset({b"date", b"keep-alive", b"via", b"x-request-id"})
_HOST: Final = re.compile(rb"[A-Za-z0-9._~:\[\]-]{1,260}").fullmatch  # of what a client may send, too
_HEADERS: Final = "script headers"  # in the memo of a section


def request_json(exchange: Exchange, body: bytes, *, before_authentication: bool) -> str:
    """Return Tyk's request object as JSON, with what is there before a script sets anything. Header names have Go's spelling."""
    if before_authentication or (exchange.drop_headers is None and exchange.set_headers is None):
        headers = exchange.section.memo.get(_HEADERS)
        if headers is None:
            headers = headers_json(exchange.headers)
            exchange.section.remember(_HEADERS, headers)
    else:
        host = exchange.fields.get(b"host")
        headers = headers_json([*exchange.sent_headers(), *([(b"Host", host)] if host is not None else [])])
    query = exchange.query if exchange.upstream_query is None else exchange.upstream_query
    url = exchange.path if exchange.upstream_path is None else exchange.upstream_path
    if query:
        url = f"{url}?{query}"
    return '{"Headers":%s,"Body":%s,"Params":%s,"URL":%s,"RequestURI":%s,"Method":"%s","Scheme":"%s"}' % (  # noqa: UP031 (as fast as it gets)
        headers,
        json.dumps(body.decode("utf-8", "replace")) if body else '""',
        json.dumps(_parameters(query)) if query else "{}",
        json.dumps(url),
        json.dumps(f"{exchange.path}?{exchange.query}" if exchange.query else exchange.path),
        exchange.method,
        "https" if exchange.secure else "http",
    )


def headers_json(headers: Iterable[Header]) -> str:
    """Return header fields as JSON: name → list, each name in Go's spelling."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(_spelled(name), []).append(value.decode("latin-1"))
    return json.dumps(found)


@lru_cache(1024)
def _spelled(name: bytes) -> str:
    return "-".join([part.capitalize() for part in name.decode("latin-1").split("-")])


def _parameters(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in _pairs(query):
        found.setdefault(name, []).append(value)
    return found


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl("&".join(query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]), keep_blank_values=True)


def session_json(key: Key | None) -> str:
    """Return Tyk's session object of a key, without what opens or signs; "" = there is none."""
    if key is None:
        return ""
    session = {name: value for name, value in key.session.items() if name not in _SECRETS}
    session["meta_data"] = session.get("meta_data") or {}
    return json.dumps({**session, "key_id": key.id})


def apply(
    exchange: Exchange, out: Out, body: bytes, *, before_authentication: bool, refusing: RefusalKind = SCRIPT_REFUSED
) -> Reply | None:
    """Apply what a script changed; return the answer when it gave one. refusing: as what a script refuses.

    Raises Refusal: what the script wants to answer, or script-failed when what it gave cannot be used.
    """
    try:
        over = out.get("over")
        if over is not None:
            return _override(over, refusing)
        if "set" in out or "del" in out:
            _change_headers(exchange, out, before_authentication=before_authentication)
        if "url" in out:
            _move(exchange, str(out["url"]))
        if "cut" in out or "add" in out or "more" in out:
            _change_parameters(exchange, out)
        if "body" in out:
            exchange.body = str(out["body"]).encode("utf-8", "replace")
        elif body:
            exchange.body = body
    except (ValueError, TypeError, OverflowError, BadRequest) as error:
        raise unusable(exchange, str(error)) from None
    except Refusal as refusal:
        if refusal.kind is refusing:
            raise
        raise unusable(exchange, refusal.message) from None
    return None


def unusable(exchange: Exchange, why: str) -> Refusal:
    """Log what a script gave that cannot be used; return the refusal."""
    log.error("script failed", api_id=exchange.api.api_id if exchange.api is not None else "", fault=why[:500])
    return Refusal(SCRIPT_FAILED)


def _override(over: Mapping[str, Any], refusing: RefusalKind) -> Reply:
    code = int(over.get("code") or 0)
    text = str(over.get("error") or over.get("body") or "")
    if code == 0 and over.get("error"):
        code = 403  # an error without a code is no reason to let the request pass
    if not 200 <= code <= 599:
        raise ValueError(f"ResponseCode is {code}, not a status from 200 to 599")
    headers = headers_of_answer(over.get("headers") or {})
    if code >= 400 and not over.get("go_on"):
        raise Refusal(refusing, status=code, message=text or refusing.message, headers=headers)
    return answer(code, headers, text)


def checked_headers(given: Mapping[str, Any]) -> list[Header]:
    """Return the header fields that a script set, without those that frame the message. Raises ValueError."""
    found = []
    for name, value in given.items():
        if str(name).lower() not in FRAMING:
            checked, text = values.header(str(name), str(value))
            found.append((checked.encode("ascii"), text.encode("utf-8", "replace")))
    return found


def headers_of_answer(given: Mapping[str, Any]) -> list[Header]:
    """As `checked_headers`, without those that the gateway writes into each of its answers. Raises ValueError."""
    return [header for header in checked_headers(given) if header[0].lower() not in _OWN_IN_ANSWERS]


def answer(code: int, headers: list[Header], text: str) -> Reply:
    """Return an answer of a script; without a Content-Type, it is JSON when it looks like it."""
    if text and not any(name.lower() == b"content-type" for name, _ in headers):
        kind = b"application/json" if text.lstrip()[:1] in ("{", "[") else b"text/plain; charset=utf-8"
        headers = [*headers, (b"Content-Type", kind)]
    return Reply(code, headers, text.encode("utf-8", "replace"))


def _change_headers(exchange: Exchange, out: Out, *, before_authentication: bool) -> None:
    added = checked_headers(out.get("set") or {})
    hosts = [value for name, value in added if name.lower() == b"host"]
    if not all(map(_HOST, hosts)):
        raise ValueError("the Host is not a host with or without a port")
    gone = {str(name).lower().encode("latin-1", "replace") for name in out.get("del") or ()} - {one.encode() for one in FRAMING} - {b"host"}
    if not before_authentication:
        for lower in gone:
            exchange.drop_header(lower)
        for name, value in added:
            exchange.set_header(name, value)
        return
    if hosts:
        exchange.upstream_host = hosts[-1]
    added = [header for header in added if header[0].lower() != b"host"]
    gone |= {name.lower() for name, _ in added}
    exchange.section = HeaderSection.of([*(one for one in exchange.headers if one[0].lower() not in gone), *added])


def _move(exchange: Exchange, url: str) -> None:
    """Move the request to another path of its API: later stages and the upstream see that one. Raises ValueError, Refusal(bad-path)."""
    api = exchange.api
    assert api is not None
    parts = urlsplit(url)
    path, query = canonical((parts.path or "/").encode() + (b"?" + parts.query.encode() if parts.query else b""))
    own = owned_length(api, exchange.path)
    place = exchange.path[:own]
    if path == place or path.startswith(place + "/"):
        full = path
    else:
        full = place + path
    exchange.upstream_path = None if api.strip_listen_path or full is path else path
    exchange.path, exchange.query, exchange.upstream_query = full, query, None
    exchange.relative = full[own:] or "/"


def _change_parameters(exchange: Exchange, out: Out) -> None:
    query = exchange.query if exchange.upstream_query is None else exchange.upstream_query
    cut, set_, more = out.get("cut") or (), out.get("add") or {}, out.get("more") or {}
    pairs = [pair for pair in _pairs(query) if pair[0] not in cut and pair[0] not in set_]
    pairs += [(str(name), str(value)) for name, value in set_.items()]
    pairs += [(str(name), str(value)) for name, several in more.items() for value in several]
    exchange.query, exchange.upstream_query = urlencode(pairs), None


def changed_meta(exchange: Exchange, out: Out) -> dict[str, Any] | None:
    """Return the `meta_data` that the key has from now on, when a script changed it; later stages of this request see it.

    Raises Refusal(script-failed) for what would burden each later request of the key, and whoever lists keys.
    """
    meta, key = out.get("meta"), exchange.key
    if not isinstance(meta, dict) or key is None or meta == (key.session.get("meta_data") or {}):
        return None
    if not _is_flat(meta, _DEEPEST_META) or len(json.dumps(meta)) > _LARGEST_META:
        raise unusable(exchange, f"the meta_data is larger than {_LARGEST_META // 1024} KB, or nested more than {_DEEPEST_META} deep")
    exchange.key = replace(key, session={**key.session, "meta_data": meta})
    return meta


def _is_flat(value: Any, deepest: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return deepest >= 0 and all(_is_flat(one, deepest - 1) for one in inner)
