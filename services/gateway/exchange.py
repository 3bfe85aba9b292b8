"""The one value that travels with a request through the gateway, and what answers look like.

The front door creates an `Exchange` from a parsed head; it goes from stage to stage, and a stage is a plain function of it. What a
stage finds out (version, key) or decides (headers to drop, time-outs) is written on the exchange. A compiled API is here as
well, because every layer speaks of it and none below the compiler may know how it came to be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from services.gateway.keys.claims import NO_CLAIMS
from services.gateway.keys.model import Key
from services.gateway.wire.balancing import Balancing
from services.gateway.wire.client_certificates import ClientCertificate
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.requests import HeaderSection
from services.gateway.wire.routes import Routes

# Within an API whose definition allows batches.
BATCH_PATH: Final = "/tyk/batch/"


class Reply:
    """An answer that the gateway gives itself. headers: without framing; the writer adds length, date and connection."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[Header], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class HandedOver(Reply):
    """Stands for the answer of an endpoint that is not the data plane's: the front door asks for it. endpoint: its path in its API."""

    __slots__ = ("endpoint",)

    def __init__(self, endpoint: str) -> None:
        super().__init__(0, [])
        self.endpoint = endpoint


class ResponseHead:
    """The head of an upstream's answer, before it goes out. Stages of the answer may change `status` and `headers`."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: list[Header]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


class AnswerTransform(Protocol):
    """Needs the whole body of an upstream's answer before its head goes out, and may change both."""

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        """Tell from the head whether it is this answer that is changed."""

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes | Awaitable[bytes]:
        """Return the body that goes out. Raises Refusal, which is answered in its place."""


class AnswerCopy(Protocol):
    """Is given a copy of an answer after it went out. most: bytes of a body; of a longer one there is no copy."""

    most: int

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        """Tell from the head whether a copy is needed."""

    def take(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        """Take the copy of a whole answer. Does not wait for anybody."""


class Looped(Reply):
    """Stands for the answer of another API of the gateway, which is to be asked. target: with the scheme `tyk`."""

    __slots__ = ("target",)

    def __init__(self, target: Target) -> None:
        super().__init__(0, [])
        self.target = target


class Trace(NamedTuple):
    """Where a request stands in a trace. sampled: whether it is recorded.

    id: 128 bits. Of 64 bits: span, the gateway's; parent, the caller's, 0 = none; asking, that of the call of the upstream.
    """

    id: int
    span: int
    parent: int
    asking: int
    sampled: bool


class LoopOptions(NamedTuple):
    """How a request goes to another API of the gateway. method: "" = its own. check_limits: whether rates and quotas count there.

    limit: how many times a request may be sent on so, 0 = as usual.
    """

    method: str = ""
    check_limits: bool = True
    limit: int = 0


class Target(NamedTuple):
    """An upstream. path: "" or "/base"; query: without "?"; host_header: as sent to it; origin: what connections are pooled by.

    loop: of the scheme `tyk`, an API of the gateway: how the request goes there.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    host_header: bytes
    origin: tuple[str, str, int]
    loop: LoopOptions | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, until the first byte of the answer, between two bytes of a body.

    connect_set_by, first_byte_set_by, idle_set_by: the field of the definition that says so, or whose default it is, for those who ask why
    a call was refused.
    """

    connect: float
    first_byte: float
    idle: float
    connect_set_by: str = field(default="", compare=False)
    first_byte_set_by: str = field(default="", compare=False)
    idle_set_by: str = field(default="", compare=False)


# None = go on; a Reply = the answer; an awaitable of either only where a stage must wait for an answer.
Stage = Callable[["Exchange"], "Reply | Awaitable[Reply | None] | None"]
AnswerStage = Callable[["Exchange", ResponseHead], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledApi:
    """A definition, ready to serve. Stages: `open` see all, `keyed` not what is ignored, `late` all that goes on.

    closing_stages: `keyed` and `late` in one, for all that is not ignored. named_segments: how many segments the listen path has when
    one of them is a `{name}`, else 0. stripped: how many characters of a path stay here when the listen path is taken off, unless it has a
    `{name}`. pass_headers: those that go on although others like them do not; pass_trailers: all that may. Of a batch's envelope
    `envelope_stages` are asked, and `envelope_keyed_stages` when it is large. oauth: whether it has endpoints where clients get tokens.
    tracked: whether analytics record its requests; detailed_recording: with their heads; expire_analytics_after: for how many seconds,
    0 = as long as all others.
    scripts: those of the definition, loaded; None = it has none. files: that its middlewares have read, by which a change is seen.
    steady_answers: whether what `answer_stages` do follows from the head of the answer, and from the method, the path and the version of
    the request.
    """

    api_id: str
    internal_id: str
    org_id: str
    name: str
    revision: int
    domain: str
    listen_path: str
    strip_listen_path: bool
    named_segments: int
    stripped: int
    keyless: bool
    batch: bool
    oauth: bool = False
    targets: tuple[Target, ...]
    balancing: Balancing[Target]
    routes: Routes | None = None
    timeouts: Timeouts
    body_limit: int | None
    pass_headers: frozenset[bytes]
    pass_trailers: frozenset[bytes]
    open_stages: tuple[Stage, ...]
    late_stages: tuple[Stage, ...]
    closing_stages: tuple[Stage, ...]
    envelope_stages: tuple[Stage, ...]
    envelope_keyed_stages: tuple[Stage, ...]
    answer_stages: tuple[AnswerStage, ...]
    steady_answers: bool = False
    event_handlers: Mapping[str, tuple[Any, ...]]
    error_template: Mapping[str, Any] | None
    error_overrides: Mapping[str, Any]
    tracked: bool = True
    detailed_recording: bool = False
    expire_analytics_after: int = 0
    error_rules: Any = None
    internal: bool = False
    definition: Any
    scripts: Any = None
    files: tuple[Any, ...] = ()


class Exchange:
    """One request on its way.

    section: its fields, as sent; headers: lines as received; fields: the last value by lower-case name (Cookie and X-Forwarded-For lines
    are in `headers` only once each where several came). path: canonical; query: ASCII, without "?". relative: the path below the
    listen path, or below the version in the URL, once its API is found. secure: whether it came over TLS. certificate: what the client
    has shown in the handshake. peer: the TCP peer; client: whom rules speak of. key: whose limits count; further_keys: of other ways of
    authentication that the request passed. body_length: bytes, 0 = no body, -1 = chunked. started: on `time.perf_counter`. upgrade: whether
    to ask the upstream for another protocol. expects: whether the client may wait for leave to send its body. limits: header lines of
    all answers, such as those that tell the client of its limits, each with its CR LF. minor: of the HTTP version, 1.0 or 1.1. upstream:
    for the log, which one was asked; limit: which of its time limits ran out. asked, first_byte: when it was asked and when its answer
    began, on `time.perf_counter`, 0 = never; connecting: seconds that a new connection to it took, 0 = it had one. trace: None = traces
    are off. outcome: told once how the upstream answered: the status of its head, 0 = it was not reached or sent none. It is not told
    when the client ends the request first. tracked: whether analytics record it, as the endpoint says; None = as its API says.
    claims: of the token that it has shown, those that its definition speaks of. owed: limits (`counters.policies.Policy`) that are charged
    with its quota.

    What stages change of the request that goes on: drop_headers (lower-case names), set_headers, varying_headers (sent as well),
    upstream_method, upstream_host (the `Host`), upstream_path (below the target's own), upstream_query, target (the upstream; None = one of
    the API's), body (what replaces the client's, or what was read of it; None = it is streamed). fixed_headers: what alone has set
    drop_headers and set_headers, in the same way for every request; None = they may be of this request only. Of the answer:
    answer_transforms and answer_copies.

    outer: of a request that another API of the gateway has sent on, as that one has it. inner: where this one was sent on, as the last API
    has it that was asked.
    """

    # Defaults of the class, not of the instance: most stay as they are.
    api: CompiledApi | None = None
    version_name = ""
    key: Key | None = None
    further_keys: tuple[Key, ...] = ()
    claims: Mapping[str, Any] = NO_CLAIMS
    presented_key = ""
    ignored = False
    limits = b""
    owed: tuple[Any, ...] = ()
    drop_headers: Set[bytes] | None = None
    set_headers: Sequence[Header] | None = None
    varying_headers: Sequence[Header] = ()
    fixed_headers: object | None = None
    timeouts: Timeouts | None = None
    upstream_path: str | None = None
    upstream_query: str | None = None
    upstream_method: str | None = None
    upstream_host: bytes | None = None
    target: Target | None = None
    body: bytes | None = None
    body_reader: Callable[[], Awaitable[bytes]] | None = None
    answer_transforms: tuple[AnswerTransform, ...] = ()
    answer_copies: tuple[AnswerCopy, ...] = ()
    relative = ""
    secure = False
    tracked: bool | None = None
    certificate: ClientCertificate | None = None
    upgrade = False
    expects = False
    minor = 1
    refused = ""
    upstream = ""
    limit = ""
    trace: Trace | None = None
    asked = 0.0
    first_byte = 0.0
    connecting = 0.0
    outcome: Callable[[Exchange, int], None] | None = None
    outer: Exchange | None = None
    inner: Exchange | None = None

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        section: HeaderSection,
        peer: str,
        client: str,
        request_id: str,
        started: float,
    ) -> None:
        self.method: str = method
        self.path: str = path
        self.query: str = query
        self.section: HeaderSection = section
        self.host: str = section.host or ""
        self.body_length: int = section.length
        self.peer: str = peer
        self.client: str = client
        self.request_id: str = request_id
        self.started: float = started

    def add_key(self, key: Key, is_base: bool) -> None:
        """Note a key that the request has shown. is_base: whether it is the one whose limits count."""
        if is_base:
            self.key = key
        else:
            self.further_keys = (*self.further_keys, key)

    async def read_body(self) -> bytes:
        """Return the whole body of the request, and keep it for later stages and the upstream.

        Raises Refusal when it is larger than the gateway reads, malformed or too slow; Closed when the client goes away.
        """
        if self.body is None:
            self.body = b"" if self.body_reader is None else await self.body_reader()
        return self.body

    def set_header(self, name: bytes, value: bytes) -> None:
        """Send a field to the upstream in place of all that have its name. `Host` goes to `upstream_host`."""
        lower = name.lower()
        if lower == b"host":
            self.upstream_host = value
            return
        self.drop_header(lower)
        self.set_headers = [*(self.set_headers or ()), (name, value)]

    def drop_header(self, lower: bytes) -> None:
        """Keep the fields of a name from the upstream. lower: in lower case. Who sends them again uses `set_header`."""
        self.fixed_headers = None
        self.drop_headers = {*(self.drop_headers or ()), lower}
        if self.varying_headers:
            self.set_headers = [*(self.set_headers or ()), *self.varying_headers]
            self.varying_headers = ()
        if self.set_headers:
            self.set_headers = [header for header in self.set_headers if header[0].lower() != lower] or None

    def sent_headers(self) -> list[Header]:
        """Return the fields as the upstream gets them, without those that the gateway itself adds, and without `Host`."""
        dropped = self.drop_headers or ()
        kept = [header for header in self.headers if header[0].lower() not in dropped and header[0].lower() != b"host"]
        return [*kept, *(self.set_headers or ()), *self.varying_headers]

    @property
    def headers(self) -> list[Header]:
        return self.section.headers

    @property
    def fields(self) -> dict[bytes, bytes]:
        return self.section.fields

    @property
    def answer_headers(self) -> tuple[Header, ...]:
        """Return `limits` as names and values."""
        return tuple((name, value) for name, _, value in (line.partition(b": ") for line in self.limits.split(b"\r\n")[:-1]))

    def complete(self, reply: Reply) -> None:
        """Add the answer headers and the request id to a reply. A field of CORS replaces the reply's own: it may stand there only once."""
        added = self.answer_headers
        if added:
            replaced = {name.lower() for name, _ in added if name.startswith(b"Access-Control-")}
            reply.headers = [header for header in reply.headers if header[0].lower() not in replaced]
            reply.headers += added
        reply.headers.append((b"X-Request-Id", self.request_id.encode("ascii")))
