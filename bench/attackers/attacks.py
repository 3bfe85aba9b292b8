"""The attacks: what each sends, who feels it, and what is promised beside it. Payloads are made in the attackers' own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.attackers.flood import Plan

# What is promised beside every attack, unless the attack says otherwise.
P99_MS = 20.0
HEAVY_P99_MS = 100.0  # beside thousands of connections that are being opened, and large bodies that are wanted
AUTH_P99_MS = 100.0
GROWTH_MB = 100.0

_FIELDS = b" HTTP/1.1\r\nHost: gateway\r\n"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """Where the attackers find their victims. sources: the addresses they come from. scale: of numbers of connections and of sizes."""

    gateway: int
    operator: int
    sources: list[str]
    scale: float = 1.0

    def number(self, full: int) -> int:
        return max(1, round(full * self.scale))


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `plans` says what its processes do.

    goals: milliseconds that the p99 of each client beside it stays below (house.py has the clients); None = reported without a goal.
    memory_of: the service whose largest worker counts. growth_mb: by how much it may grow.
    """

    title: str
    attackers: str
    plans: Callable[[Places], list[Plan]]
    goals: dict[str, float | None] = field(default_factory=lambda: {"ordinary": P99_MS})
    memory_of: str = "gateway"
    growth_mb: float = GROWTH_MB
    processes: int = 1


def get(path: str, fields: bytes = b"") -> bytes:
    return b"GET " + path.encode() + _FIELDS + fields + b"\r\n"


def post(path: str, length: int | None, fields: bytes = b"") -> bytes:
    """The head of a POST. length: None = chunked."""
    framing = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    return b"POST " + path.encode() + _FIELDS + b"Content-Type: application/json\r\n" + framing + fields + b"\r\n"


def repeated(request: bytes) -> bytes:
    """As many of a request as a system call takes well."""
    return request * max(1, _PIECE // len(request))


def pipelined(path: str, *, read: bool) -> Callable[[Places], list[Plan]]:
    return lambda places: [Plan(places.gateway, 10, repeat=repeated(get(path)), read=read)]


def burst(connections: int, megabytes: int) -> Callable[[Places], list[Plan]]:
    """`/hello` only, once."""
    data = repeated(get("/hello"))
    return lambda places: [Plan(places.gateway, connections, repeat=data, limit=places.number(megabytes * 1_000_000))]


def one_byte_chunks(path: str, *, trailers: bool = False) -> Callable[[Places], list[Plan]]:
    """Chunks without an end; or requests of 10,000 chunks and 100 trailers, one after another."""
    head, chunks = post(path, None), b"1\r\n[\r\n" * 10_000
    if not trailers:
        return lambda places: [Plan(places.gateway, 10, opening=head, repeat=chunks)]
    end = b"0\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(100)) + b"\r\n"
    return lambda places: [Plan(places.gateway, 10, repeat=head + chunks + end)]


def slow_login(length: int | None) -> Callable[[Places], list[Plan]]:
    """A byte every half second. length: announced bytes; None = chunked."""
    start, more = (b"{", b" ") if length is not None else (b"1\r\n{\r\n", b"1\r\n \r\n")
    return lambda places: [Plan(places.gateway, places.number(100), opening=post("/auth/login", length) + start, repeat=more, pace=0.5)]


def large_body(port: str, path: str, connections: int, filling: bytes) -> Callable[[Places], list[Plan]]:
    """10 MB bodies, one after another: a JSON list of `filling`."""

    def plans(places: Places) -> list[Plan]:
        size = places.number(10_000_000)
        body = b"[" + filling * ((size - 2 - len(filling)) // len(filling)) + filling.rstrip(b",") + b"]"
        return [Plan(getattr(places, port), places.number(connections), repeat=post(path, len(body)) + body)]

    return plans


def _idle(places: Places) -> list[Plan]:
    return [Plan(places.gateway, places.number(10_000))]


def _slow_heads(places: Places) -> list[Plan]:
    return [Plan(places.gateway, places.number(10_000), opening=b"GET /hello" + _FIELDS + b"X-Slow: ", repeat=b"a", pace=3.0)]


def _unread_interim(places: Places) -> list[Plan]:
    return [Plan(places.gateway, 4, opening=get("/open/interim"), read=False)]


def _large_pages(places: Places) -> list[Plan]:
    return [Plan(places.gateway, 4, opening=get("/tokens/tokens?offset=0&count=250"), read_every=0.05)]


_BESIDE_CONNECTIONS = {"ordinary": HEAVY_P99_MS, "newcomer": HEAVY_P99_MS}
_BESIDE_AUTH = {"auth": AUTH_P99_MS, "tokens": AUTH_P99_MS, "log-in": None}

ATTACKS: dict[str, Attack] = {
    "pipelined-hello": Attack("endless pipelined `/hello`", "10", pipelined("/hello", read=True)),
    "pipelined-hello-unread": Attack("the same, answers not read", "10", pipelined("/hello", read=False)),
    "pipelined-404": Attack("endless pipelined 404", "10", pipelined("/nobody/here", read=True)),
    "pipelined-404-unread": Attack("the same, answers not read", "10", pipelined("/nobody/here", read=False)),
    "pipelined-401": Attack("endless pipelined requests without a key", "10", pipelined("/bench-keyed/small", read=True)),
    "pipelined-401-unread": Attack("the same, answers not read", "10", pipelined("/bench-keyed/small", read=False)),
    "pipelined-reply": Attack("endless pipelined canned replies", "10", pipelined("/open/reply", read=True)),
    "pipelined-reply-unread": Attack("the same, answers not read", "10", pipelined("/open/reply", read=False)),
    "burst-8": Attack("8 MB of `/hello` at once", "1", burst(1, 8)),
    "burst-16": Attack("16 MB of `/hello` each at once", "3", burst(3, 16)),
    "chunks-upstream": Attack("endless one-byte chunks to an upstream", "10", one_byte_chunks("/open/sink")),
    "chunks-batch": Attack("endless one-byte chunks to a batch", "10", one_byte_chunks("/open/tyk/batch/")),
    "trailers-upstream": Attack("one-byte chunks with trailers to an upstream", "10", one_byte_chunks("/open/sink", trailers=True)),
    "trailers-batch": Attack("the same to a batch", "10", one_byte_chunks("/open/tyk/batch/", trailers=True)),
    "slow-small": Attack("slow log-ins, 200 bytes announced", "100", slow_login(200), dict(_BESIDE_AUTH)),
    "slow-large": Attack("slow log-ins, 1 MB announced", "100", slow_login(1_000_000), dict(_BESIDE_AUTH)),
    "slow-chunked": Attack("slow log-ins, chunked", "100", slow_login(None), dict(_BESIDE_AUTH)),
    "interim-unread": Attack("an upstream's endless 1xx, not read", "4", _unread_interim),
    "batch-stranger": Attack("10 MB batches without a key", "10", large_body("gateway", "/keyed-batch/tyk/batch/", 10, b"[],")),
    "batch-open": Attack(
        "10 MB batches that everybody may send",
        "10",
        large_body("gateway", "/open/tyk/batch/", 10, b"[],"),
        {"ordinary": HEAVY_P99_MS},
    ),
    "batch-refused": Attack("10 MB batches from a refused address", "10", large_body("gateway", "/refused/tyk/batch/", 10, b"[],")),
    "large-pages": Attack(
        "pages of 250 tokens of 1 MB, read slowly", "4", _large_pages, {"ordinary": P99_MS, "tokens": AUTH_P99_MS}, memory_of="tokens"
    ),
    "operator-stranger": Attack("10 MB to the operator's port without a key", "20", large_body("operator", "/api/apis", 20, b"[],")),
    "idle": Attack("idle connections of one address", "10,000", _idle, dict(_BESIDE_CONNECTIONS)),
    "slow-heads": Attack("slow heads of one address", "10,000", _slow_heads, dict(_BESIDE_CONNECTIONS)),
}
