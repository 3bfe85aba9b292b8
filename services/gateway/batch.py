"""Batches: several requests to one API in one envelope, `POST {listen_path}tyk/batch/`.

Every entry runs through the API's whole chain in this process, judged by the address of the client that sent the envelope (real Tyk sends
entries from 127.0.0.1, which defeats its own address lists). Each needs its own key and each is charged. The answers stand in the
order of the entries.
"""

from __future__ import annotations

import asyncio
import json
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from services.gateway.exchange import CompiledApi, Exchange, Header, Reply
from services.gateway.refusals import BATCH_ENTRY_MALFORMED, BATCH_MALFORMED, BATCH_TOO_LARGE, NOT_FOUND, Refusal
from services.gateway.routing.paths import canonical
from services.gateway.wire.connection import Connection
from services.gateway.wire.heads import HeaderSection

if TYPE_CHECKING:
    from services.gateway.forwarding import Forwarder
    from services.gateway.front_door import FrontDoor

PATH: Final = "/tyk/batch/"
LARGEST: Final = 10 * 1024 * 1024
_MOST: Final = 100
_AT_ONCE: Final = 10
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,19}").fullmatch
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*").fullmatch
# Framing is ours; an entry goes to the host of its envelope, and came the way the envelope came: a trusted proxy wrote that on the
# envelope, while an entry is the client's own word.
_ROUTE: Final = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "forwarded", "via"})
_ROUTE_FIELDS: Final = frozenset({b"host", *(name.encode() for name in _ROUTE)})
_OWN: Final = _ROUTE | {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer", "keep-alive"}


class _Entry:
    __slots__ = ("body", "headers", "method", "relative_url")

    def __init__(self, method: str, headers: list[Header], body: bytes, relative_url: str) -> None:
        self.method = method
        self.headers = headers
        self.body = body
        self.relative_url = relative_url


async def answer(door: FrontDoor, forwarder: Forwarder, envelope: Exchange, body: bytes, connection: Connection) -> Reply:
    """Runs a batch. Raises Refusal when the envelope or an entry is malformed; then nothing was run."""
    api = envelope.api
    assert api is not None
    if envelope.method != "POST":
        return Reply(200, [(b"Content-Type", b"application/json")])  # Tyk's answer to any other method
    entries, one_by_one = _parse(body)
    gate = asyncio.Semaphore(1 if one_by_one else _AT_ONCE)

    async def run(entry: _Entry) -> dict[str, Any]:
        async with gate:
            return await _run(door, forwarder, envelope, api, entry, connection)

    answers = await asyncio.gather(*(run(entry) for entry in entries))
    return Reply(200, [(b"Content-Type", b"application/json")], json.dumps(answers, ensure_ascii=False).encode("utf-8", "replace"))


def _parse(body: bytes) -> tuple[list[_Entry], bool]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(BATCH_MALFORMED) from None
    requests = document.get("requests") if isinstance(document, dict) else None
    if not isinstance(requests, list):
        raise Refusal(BATCH_MALFORMED)
    if len(requests) > _MOST:
        raise Refusal(BATCH_TOO_LARGE, detail=f"The batch has {len(requests)} entries; at most {_MOST} are allowed.")
    return [_entry(request, place) for place, request in enumerate(requests)], document.get("suppress_parallel_execution") is True


def _entry(request: Any, place: int) -> _Entry:
    def malformed(what: str) -> Refusal:
        return Refusal(BATCH_ENTRY_MALFORMED, detail=f"Entry {place}: {what}.")

    if not isinstance(request, dict):
        raise Refusal(BATCH_MALFORMED, detail=f"Entry {place} is not an object.")
    method = request.get("method") or "GET"
    if not isinstance(method, str) or not _METHOD(method) or method in ("CONNECT", "TRACE"):
        raise malformed("its method is not an HTTP method")
    relative_url, body, given = request.get("relative_url") or "", request.get("body") or "", request.get("headers") or {}
    if not isinstance(relative_url, str):
        raise malformed("relative_url must be a string")
    if not isinstance(body, str):
        raise malformed("body must be a string")
    if not isinstance(given, dict):
        raise malformed("headers must be an object")
    headers: list[Header] = []
    for name, value in given.items():
        if not isinstance(value, str) or not _NAME(name) or not _VALUE(value):
            raise malformed("a header is malformed")
        if name.lower() not in _OWN:
            headers.append((name.encode("ascii"), value.encode("utf-8", "replace")))
    return _Entry(method, headers, body.encode("utf-8", "replace"), relative_url)


async def _run(
    door: FrontDoor, forwarder: Forwarder, envelope: Exchange, api: CompiledApi, entry: _Entry, connection: Connection
) -> dict[str, Any]:
    headers = [(name, value) for name, value in envelope.headers if name.lower() in _ROUTE_FIELDS] + entry.headers
    if entry.body:
        headers.append((b"Content-Length", b"%d" % len(entry.body)))
    exchange = Exchange(
        entry.method,
        api.listen_path,
        "",
        HeaderSection(b"", headers),
        envelope.peer,
        envelope.client,
        door.next_request_id(),
        perf_counter(),
        envelope.secure,
    )
    exchange.host = envelope.host
    try:
        target = api.listen_path + entry.relative_url.lstrip("/")
        exchange.path, exchange.query = canonical(target.encode("utf-8", "replace"))
        inside = exchange.path.startswith(api.listen_path) or exchange.path + "/" == api.listen_path
        if not inside or exchange.path == api.listen_path[:-1] + PATH:
            raise Refusal(NOT_FOUND, detail="An entry stays within the API of its batch, and is no batch itself.")
        reply = await door.decide(exchange)
        if exchange.api is not api:
            raise Refusal(NOT_FOUND, detail="An entry stays within the API of its batch.")
        if reply is None:
            status, answered, body = await forwarder.fetch(connection, exchange, api, entry.body)
        else:
            status, answered, body = reply.status, reply.headers, reply.body
    except Refusal as refusal:
        reply = door.refused(exchange, refusal)
        status, answered, body = reply.status, reply.headers, reply.body
    door.log(exchange, status, len(body))
    shown: dict[str, list[str]] = {}
    for name, value in answered:
        shown.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return {"relative_url": entry.relative_url, "code": status, "headers": shown, "body": body.decode("utf-8", "replace")}
