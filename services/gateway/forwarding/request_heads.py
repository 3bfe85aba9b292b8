"""Writes the heads of requests to upstreams: the client's fields, and where the request came from.

Hop-by-hop fields, those that `Connection` names and those whose names can be misread are dropped; `X-Forwarded-*` and `Forwarded`
(RFC 7239) are replaced, `Via` is added (RFC 9110, 7.6.3). What a stage sets or drops of these outranks the gateway's own. `traceparent` and
`tracestate` go on as they are, unless they are malformed.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from services.common.addresses import AddressSet
from services.common.trace_context import is_parent
from services.gateway.exchange import CompiledApi, Exchange, Target
from services.gateway.observe.tracing import Tracing
from services.gateway.routing.client_address import forwarded_for
from services.gateway.routing.listen_paths import owned_length
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.heads.grammar import Header, named_fields, picker
from services.gateway.wire.heads.names import FORWARDED, NOT_PASSED_ON
from services.gateway.wire.heads.requests import HeaderSection

_VIA: Final = b"1.1 gatehouse"
_NOTHING: Final[frozenset[bytes]] = frozenset()
_LENGTH: Final = frozenset({b"content-length"})
_TRACE_FIELDS: Final = frozenset({b"traceparent", b"tracestate"})


class RequestHeads:
    """Writes the heads of requests to upstreams. trusted: proxies whose word about a client counts."""

    __slots__ = ("_trace_replaced", "_trusted", "_trusts_any")

    def __init__(self, trusted: AddressSet) -> None:
        self._trace_replaced: Set[bytes] = _NOTHING
        self._trusted = trusted
        self._trusts_any = bool(trusted)

    def write(self, client: ClientConnection, exchange: Exchange, api: CompiledApi, target: Target) -> bytes:
        """Write the head of a request to `target`. client: the connection that it came from."""
        section = exchange.section
        changed = exchange.drop_headers is not None or exchange.set_headers is not None
        who = exchange.fixed_headers if changed else api
        head = section.memo.get(self)
        if (
            head is not None
            and head[0] is section.request[0]
            and head[1] is target
            and head[2] is who
            and head[3] == exchange.path  # of the same request a script may make another one each time
            and head[4] == exchange.query
            and head[5] == exchange.upstream_path
            and head[6] == exchange.upstream_query
            and head[7] == exchange.upstream_method
            and head[8] == exchange.upstream_host
            and exchange.body is None
        ):
            begin = head[9]
        else:
            begin = self._begin(client, exchange, api, target, who)
            if changed and b"x-request-id" in (exchange.drop_headers or _NOTHING):
                return b"%b%b\r\n" % (begin, _lines(exchange.varying_headers))
            if section.again and section.request[0] and who is not None and exchange.body is None:
                # Then all of it follows from what the client repeats, and from these.
                asked = (section.request[0], target, who, exchange.path, exchange.query)
                sent = (exchange.upstream_path, exchange.upstream_query, exchange.upstream_method, exchange.upstream_host)
                section.remember(self, (*asked, *sent, begin))
        varying = _lines(exchange.varying_headers) if exchange.varying_headers else b""
        return b"".join((begin, varying, b"X-Request-Id: ", exchange.request_id.encode("ascii"), b"\r\n\r\n"))

    def _begin(self, client: ClientConnection, exchange: Exchange, api: CompiledApi, target: Target, who: object | None) -> bytes:
        """Write what stands before the fields that are of this request alone. who: what alone decides the fields, None = nothing does."""
        section = exchange.section
        path = exchange.upstream_path
        if path is None:
            stripped = owned_length(api, exchange.path) if api.named_segments and api.stripped else api.stripped
            path = exchange.path[stripped:] or "/"
        query = exchange.query if exchange.upstream_query is None else exchange.upstream_query
        if query or target.query:
            path = f"{path}?{query}" if not target.query else f"{path}?{target.query}&{query}" if query else f"{path}?{target.query}"
        if section.again and who is not None and exchange.body is None and not api.named_segments:
            # They follow from the client's fields alone, which repeat. (Not with a `{name}`: its listen path differs.)
            host = exchange.upstream_host
            known = section.memo.get(who)
            if known is None or known[0] is not target or known[1] is not exchange.upgrade or known[2] != host:
                known = (target, exchange.upgrade, host, self._upstream_fields(client, exchange, api, target))
                section.remember(who, known)
            fields = known[3]
        else:
            fields = self._upstream_fields(client, exchange, api, target)
        line = f"{exchange.upstream_method or exchange.method} {target.path}{path}".encode("latin-1")
        return b"%b HTTP/1.1\r\n%b" % (line, fields)

    def _upstream_fields(self, client: ClientConnection, exchange: Exchange, api: CompiledApi, target: Target) -> bytes:
        """Write the fields that the upstream gets, each with its CR LF, without the request id."""
        section = exchange.section
        layout = section.layout
        dropped: Set[bytes] = exchange.drop_headers or _NOTHING
        if layout.special and b"connection" in layout.places:
            dropped = dropped | named_fields(b",".join(section.values(b"connection")))
        if exchange.body is not None:
            dropped = dropped | _LENGTH
        if not _TRACE_FIELDS.isdisjoint(layout.places):
            replaced = self._trace_replaced if _is_traced(section) else _TRACE_FIELDS
            if replaced:
                dropped = dropped | replaced
        if dropped or (layout.withheld and api.pass_headers):
            dropped = dropped | (layout.withheld - api.pass_headers)
            gone = {place for place, name in enumerate(layout.names, 1) if name in dropped or name in NOT_PASSED_ON}
            passed_on = b"\r\n".join(picker(gone | {0}, len(layout.names))(section.lines))
        else:
            passed_on = section.passed_on()
        out = [b"Host: %b\r\n" % (exchange.upstream_host or target.host_header), passed_on]
        if exchange.body is not None:
            if exchange.body or exchange.body_length:
                out.append(b"Content-Length: %d\r\n" % len(exchange.body))
        elif exchange.body_length < 0:
            out.append(b"Transfer-Encoding: chunked\r\n")
        if exchange.set_headers:
            out += [b"%b: %b\r\n" % header for header in exchange.set_headers]
        if exchange.upgrade:
            out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % (section.value(b"upgrade") or b""))
        places = layout.places
        if exchange.drop_headers and not FORWARDED.isdisjoint(exchange.drop_headers):
            out += [line for line in self._forwarded(exchange, api) if line.partition(b":")[0].lower() not in exchange.drop_headers]
            return b"".join(out)
        differs = b"x-forwarded-for" in places or b"via" in places or api.named_segments
        if differs or (self._trusts_any and exchange.peer in self._trusted):
            out += self._forwarded(exchange, api)
        else:  # the same for all requests of a connection to one API and host
            known = client.memo
            if known is None or known[0] is not api or known[1] != section.authority:
                known = client.memo = (api, section.authority, b"".join(self._forwarded(exchange, api)))
            out.append(known[2])
        return b"".join(out)

    def _forwarded(self, exchange: Exchange, api: CompiledApi) -> list[bytes]:
        """Return the fields that tell the upstream where the request came from: X-Forwarded-*, Forwarded and Via, each with its CR LF."""
        section, fields, peer = exchange.section, exchange.fields, exchange.peer.encode("latin-1")
        given: dict[bytes, bytes] = fields if self._trusts_any and exchange.peer in self._trusted else {}
        host = fields.get(b"host", b"")
        proto = b"https" if exchange.secure else b"http"
        prior = (
            b"".join(entry.encode("latin-1") + b", " for entry in forwarded_for(exchange.headers)) if b"x-forwarded-for" in fields else b""
        )
        node = b'"[%b]"' % peer if b":" in peer else peer
        element = b"for=%b;%bproto=%b" % (node, b'host="%b";' % host.replace(b'"', b"") if host else b"", proto)
        lines = [
            b"X-Forwarded-For: %b%b\r\n" % (prior, peer),
            b"X-Forwarded-Proto: %b\r\n" % given.get(b"x-forwarded-proto", proto),
            b"Forwarded: %b\r\n" % b", ".join([*(section.values(b"forwarded") if given else ()), element]),
            b"Via: %b\r\n" % b", ".join([*section.values(b"via"), _VIA]),
        ]
        host = given.get(b"x-forwarded-host", host)
        if host:
            lines.append(b"X-Forwarded-Host: %b\r\n" % host)
        prefix = given.get(b"x-forwarded-prefix", b"")
        if api.strip_listen_path and len(api.listen_path) > 1:
            prefix += exchange.path[: owned_length(api, exchange.path)].encode("latin-1")
        if prefix:
            lines.append(b"X-Forwarded-Prefix: %b\r\n" % prefix)
        return lines


class TracedHeads(RequestHeads):
    """As `RequestHeads`, with a `traceparent` of the gateway's own."""

    __slots__ = ("_tracing",)

    def __init__(self, trusted: AddressSet, tracing: Tracing) -> None:
        super().__init__(trusted)
        self._trace_replaced = frozenset({b"traceparent"})
        self._tracing = tracing

    def write(self, client: ClientConnection, exchange: Exchange, api: CompiledApi, target: Target) -> bytes:
        """Write the head of a request to `target`. client: the connection that it came from."""
        head = super().write(client, exchange, api, target)
        if b"traceparent" in (exchange.drop_headers or _NOTHING):  # the definition says what is sent
            return head
        return b"%btraceparent: %b\r\n\r\n" % (head[:-2], self._tracing.parent_of_upstream(exchange))


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _is_traced(section: HeaderSection) -> bool:
    """Whether a request says to which trace it belongs, so that it can be understood."""
    given = section.value(b"traceparent")
    return given is not None and b"traceparent" not in section.layout.repeated and is_parent(given)
