"""The attacks: what each sends, who feels it, and what is promised beside it. Payloads are made in the attackers' own process."""

from __future__ import annotations

import base64
import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.attackers.flood import Plan

# What is promised beside every attack, unless the attack says otherwise.
P99_MS = 20.0
HEAVY_P99_MS = 100.0  # beside thousands of connections that are being opened, and large bodies that are wanted
AUTH_P99_MS = 100.0
P99_BESIDE_CREDENTIALS_MS = 10.0
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
    plans: Callable[[Places], list[Plan]]
    goals: Mapping[str, float | None] = field(default_factory=lambda: {"ordinary": P99_MS})
    memory_of: str = "gateway"
    growth_mb: float = GROWTH_MB
    processes: int = 1


def get(path: str, fields: bytes = b"") -> bytes:
    return b"GET " + path.encode() + _FIELDS + fields + b"\r\n"


def post(path: str, length: int | None, fields: bytes = b"") -> bytes:
    """Write the head of a POST. length: None = chunked."""
    framing = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    return b"POST " + path.encode() + _FIELDS + b"Content-Type: application/json\r\n" + framing + fields + b"\r\n"


def repeated(request: bytes) -> bytes:
    """Repeat a request as often as one system call takes well."""
    return request * max(1, _PIECE // len(request))


def pipelined(path: str, *, read: bool) -> Callable[[Places], list[Plan]]:
    return lambda places: [Plan(places.gateway, 10, repeat=repeated(get(path)), read=read)]


def burst(connections: int, megabytes: int) -> Callable[[Places], list[Plan]]:
    """`/hello` only, once."""
    data = repeated(get("/hello"))
    return lambda places: [Plan(places.gateway, connections, repeat=data, limit=places.number(megabytes * 1_000_000))]


def one_byte_chunks(path: str, *, trailers: bool = False) -> Callable[[Places], list[Plan]]:
    """Send chunks without an end, or requests of 10,000 chunks and 60 trailers, one after another."""
    head, chunks = post(path, None), b"1\r\n \r\n" * 10_000
    if not trailers:
        return lambda places: [Plan(places.gateway, 10, opening=head, repeat=chunks)]
    end = b"0\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(60)) + b"\r\n"
    return lambda places: [Plan(places.gateway, 10, repeat=head + chunks + end)]


def slow_login(length: int | None) -> Callable[[Places], list[Plan]]:
    """Send a byte every half second. length: announced bytes; None: chunked."""
    start, more = (b"{", b" ") if length is not None else (b"1\r\n{\r\n", b"1\r\n \r\n")
    return lambda places: [Plan(places.gateway, places.number(100), opening=post("/auth/login", length) + start, repeat=more, pace=0.5)]


def large_bodies(port: str, path: str, connections: int) -> Callable[[Places], list[Plan]]:
    """`[[],[],…]` of 10 MB, one after another. port: a field of Places."""

    def plans(places: Places) -> list[Plan]:
        body = b"[" + b"[]," * (places.number(10_000_000) // 3 - 1) + b"[]]"
        return [Plan(getattr(places, port), connections, repeat=post(path, len(body)) + body)]

    return plans


def _strangers(path: str, credential: Callable[[int], str]) -> Callable[[Places], list[Plan]]:
    """Ask without a pause on 16 connections, and no two of their some 5,000 requests with the same credential."""

    def plans(places: Places) -> list[Plan]:
        each = _PIECE // 200
        pieces = [[get(path, f"Authorization: {credential(place * each + n)}\r\n".encode()) for n in range(each)] for place in range(16)]
        return [Plan(places.gateway, 1, repeat=b"".join(requests)) for requests in pieces]

    return plans


def _wrong_password(number: int) -> str:
    """One of a user in ten who is there, for all numbers together."""
    return "Basic " + base64.b64encode(f"{'user' if number % 10 == 0 else f'u{number}'}:wrong-{number}".encode()).decode()


def _forged(number: int) -> str:
    return f'Signature keyId="{number:032x}",algorithm="hmac-sha256",headers="x-aux-date",signature="{"A" * 43}="'


def _forged_signatures(places: Places) -> list[Plan]:
    date = f"X-Aux-Date: {email.utils.formatdate(usegmt=True)}\r\n".encode()
    plans = _strangers("/signed/small", _forged)(places)
    return [Plan(one.port, 1, repeat=one.repeat.replace(b"Authorization", date + b"Authorization")) for one in plans]


def _forged_token(number: int) -> str:
    """Signed with the dearest algorithm there is."""
    parts = (b'{"alg":"ES512"}', b'{"sub":"u%d"}' % number, number.to_bytes(4) * 33)
    return "Bearer " + ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _idle(places: Places) -> list[Plan]:
    return [Plan(places.gateway, places.number(10_000))]


def _slow_heads(places: Places) -> list[Plan]:
    return [Plan(places.gateway, places.number(10_000), opening=b"GET /hello" + _FIELDS + b"X-Slow: ", repeat=b"a", pace=3.0)]


def _unread_interim(places: Places) -> list[Plan]:
    """Some stay, and some come again and again, for a gateway that ends such answers."""
    return [Plan(places.gateway, 4, opening=get("/open/interim"), read=False, stay=stay) for stay in (0.0, 0.25)]


def _large_pages(places: Places) -> list[Plan]:
    return [Plan(places.gateway, 4, opening=get("/tokens/tokens?offset=0&count=250"), read_every=0.05)]


_BESIDE_CREDENTIALS = {"ordinary": P99_BESIDE_CREDENTIALS_MS}
_BESIDE_CONNECTIONS = {"ordinary": HEAVY_P99_MS, "newcomer": HEAVY_P99_MS}
_BESIDE_TOKENS = {"ordinary": P99_MS, "tokens": AUTH_P99_MS}
_BESIDE_AUTH = {"auth": AUTH_P99_MS, "tokens": AUTH_P99_MS, "log-in": None}

ATTACKS: dict[str, Attack] = {
    "pipelined-hello": Attack("endless pipelined `/hello`", pipelined("/hello", read=True)),
    "pipelined-hello-unread": Attack("endless pipelined `/hello`, answers not read", pipelined("/hello", read=False)),
    "pipelined-404": Attack("endless pipelined 404", pipelined("/nobody/here", read=True)),
    "pipelined-404-unread": Attack("endless pipelined 404, answers not read", pipelined("/nobody/here", read=False)),
    "pipelined-401": Attack("endless pipelined requests without a key", pipelined("/bench-keyed/small", read=True)),
    "pipelined-401-unread": Attack(
        "endless pipelined requests without a key, answers not read", pipelined("/bench-keyed/small", read=False)
    ),
    "pipelined-reply": Attack("endless pipelined canned replies", pipelined("/open/reply", read=True)),
    "pipelined-reply-unread": Attack("endless pipelined canned replies, answers not read", pipelined("/open/reply", read=False)),
    "wrong-passwords": Attack("endless pipelined wrong passwords", _strangers("/users/small", _wrong_password), _BESIDE_CREDENTIALS),
    "forged-signatures": Attack("endless pipelined forged signatures", _forged_signatures, _BESIDE_CREDENTIALS),
    "forged-tokens": Attack(
        "endless pipelined forged JSON Web Tokens", _strangers("/signed-by-one/small", _forged_token), _BESIDE_CREDENTIALS
    ),
    "burst-8": Attack("8 MB of `/hello` at once", burst(1, 8)),
    "burst-16": Attack("16 MB of `/hello` each at once", burst(3, 16)),
    "chunks-upstream": Attack("endless one-byte chunks to an upstream", one_byte_chunks("/open/sink")),
    "chunks-batch": Attack("endless one-byte chunks to a batch", one_byte_chunks("/open/tyk/batch/")),
    "trailers-upstream": Attack("one-byte chunks with trailers to an upstream", one_byte_chunks("/open/sink", trailers=True)),
    "trailers-batch": Attack("one-byte chunks with trailers to a batch", one_byte_chunks("/open/tyk/batch/", trailers=True)),
    "slow-small": Attack("slow log-ins, 200 bytes announced", slow_login(200), _BESIDE_AUTH),
    "slow-large": Attack("slow log-ins, 1 MB announced", slow_login(1_000_000), _BESIDE_AUTH),
    "slow-chunked": Attack("slow log-ins, chunked", slow_login(None), _BESIDE_AUTH),
    "interim-unread": Attack("an upstream's endless 1xx, not read", _unread_interim),
    "batch-stranger": Attack("10 MB batches without a key", large_bodies("gateway", "/keyed-batch/tyk/batch/", 10)),
    "batch-refused": Attack("10 MB batches from a refused address", large_bodies("gateway", "/refused/tyk/batch/", 10)),
    "batch-open": Attack(
        "10 MB batches that everybody may send", large_bodies("gateway", "/open/tyk/batch/", 10), {"ordinary": HEAVY_P99_MS}
    ),
    "large-pages": Attack("pages of 250 tokens of 1 MB, read slowly", _large_pages, _BESIDE_TOKENS, memory_of="tokens", growth_mb=150.0),
    "operator-stranger": Attack("10 MB to the operator's port without a key", large_bodies("operator", "/api/apis", 20)),
    "idle": Attack("idle connections of one address", _idle, _BESIDE_CONNECTIONS),
    "slow-heads": Attack("slow heads of one address", _slow_heads, _BESIDE_CONNECTIONS),
}
