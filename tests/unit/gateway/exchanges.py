"""What the tests of single middlewares share: definitions, exchanges, and the outside world that a middleware asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import pytest

from services.gateway.chain import Middleware
from services.gateway.compiler import parse
from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.port import Charges, Counters
from services.gateway.counters.windows import Clocks
from services.gateway.definitions.model import Definition
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Reply
from services.gateway.keys.certificates import CertificateFinder
from services.gateway.keys.key_sets import KeySets
from services.gateway.keys.model import Key, KeyFinder, Made, secret_hash
from services.gateway.keys.passwords import Passwords
from services.gateway.keys.tokens import TokenVerifier
from services.gateway.ports import Ports
from services.gateway.refusals import CERTIFICATES_UNAVAILABLE, Refusal, RefusalKind
from services.gateway.routing.paths import canonical
from services.gateway.wire.heads.requests import HeaderSection


def document(*, version: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The JSON of a keyed API on `/api/`. version: members of its one version."""
    document: dict[str, Any] = {
        "name": "Api",
        "api_id": "api",
        "active": True,
        "auth": {"auth_header_name": "authorization"},
        "version_data": {"not_versioned": True, "versions": {"Default": {"name": "Default", **(version or {})}}},
        "proxy": {"listen_path": "/api/", "target_url": "http://10.0.0.1:9/", "strip_listen_path": True},
    }
    return {**document, **more}


def definition(**more: Any) -> Definition:
    return parse(document(**more))


def spec(middleware: Middleware, **more: Any) -> Any:
    """What a middleware reads of a sound definition."""
    reader = DefinitionReader(document(**more))
    found = middleware.fields(reader)
    assert reader.report.mistakes == []
    return found


def mistakes(middleware: Middleware, **more: Any) -> list[str]:
    """The places of the mistakes that a middleware finds in a definition."""
    reader = DefinitionReader(document(**more))
    middleware.fields(reader)
    assert all(mistake.message for mistake in reader.report.mistakes)
    return [mistake.pointer for mistake in reader.report.mistakes]


def built(middleware: Middleware, outside: Ports, **more: Any) -> Any:
    """The built middleware of a definition, None when the definition does not use it."""
    found = spec(middleware, **more)
    return None if found is None else middleware.build(found, outside)


def lists(
    ignored: Iterable[Any] = (), black: Iterable[Any] = (), white: Iterable[Any] = (), *, extended: bool = False, **more: Any
) -> dict[str, Any]:
    """A version with path lists."""
    found = {"ignored": list(ignored), "black_list": list(black), "white_list": list(white)}
    return {"use_extended_paths": True, "extended_paths": found, **more} if extended else {"paths": found, **more}


def exchange(
    method: str = "GET",
    target: str = "/api/",
    headers: Iterable[tuple[str, str]] = (),
    *,
    client: str = "192.0.2.1",
    body_length: int = 0,
    version: str = "Default",
    key: Key | None = None,
) -> Exchange:
    """A request as it stands when its API has been found. target: with its listen path, `/api/`."""
    path, query = canonical(target.encode())
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    made = Exchange(method, path, query, HeaderSection.of(lines), client, client, "request-1", perf_counter())
    made.host = "api.example"
    made.body_length = body_length
    made.relative = path.removeprefix("/api") or "/"
    made.version_name = version
    made.key = key
    return made


class Time:
    """A clock that a test moves. now: epoch seconds."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class KnownKeys:
    """Keys by their secret, and made ones of policies that exist. later: whether they are found only after a while, as by a store."""

    def __init__(self, keys: Mapping[str, Key] | None = None, *, later: bool = False, policies: Iterable[str] = ()) -> None:
        self._policies = frozenset(policies)
        self._keys = {secret_hash(secret): key for secret, key in (keys or {}).items()}
        self._later = later
        self.asked: list[str] = []

    def find_hash(self, hash: str) -> Key | Awaitable[Key | None] | None:
        self.asked.append(hash)
        found = self._keys.get(hash)
        return self._wait(found) if self._later else found

    def find_made(self, made: Made) -> Key | Awaitable[Key | None] | None:
        self.asked.append(made.id)
        if made.hash not in self._keys and self._policies.issuperset(made.policies):
            self._keys[made.hash] = made.key(made.session)
        found = self._keys.get(made.hash)
        return self._wait(found) if self._later else found

    async def _wait(self, found: Key | None) -> Key | None:
        await asyncio.sleep(0)
        return found


class LateCounters:
    """Counters that answer later, as those of another process do."""

    at_once = False

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def take_all(self, charges: Charges) -> Any:
        await asyncio.sleep(0)
        return self._counters.take_all(charges)

    async def take(self, *asked: Any, **more: Any) -> Any:
        await asyncio.sleep(0)
        return self._counters.take(*asked, **more)

    async def look(self, *asked: Any, **more: Any) -> Any:
        await asyncio.sleep(0)
        return self._counters.look(*asked, **more)


class KnownCertificates:
    """Certificates by their ids. loaded: whether they could be read."""

    def __init__(self, *ids: str, loaded: bool = True) -> None:
        self.ids = set(ids)
        self.loaded = loaded

    def holds(self, id: str) -> bool:
        return id in self.ids

    def check_loaded(self) -> None:
        if not self.loaded:
            raise Refusal(CERTIFICATES_UNAVAILABLE)


class Told(NamedTuple):
    """An event that a middleware told of."""

    exchange: Exchange
    name: str
    metadata: Mapping[str, str]


def make_key(id: str = "key-1", **session: Any) -> Key:
    return Key.from_session(id, [secret_hash(id)], session)


def ports(
    keys: KeyFinder | None = None,
    counters: Any = None,
    time: Time | None = None,
    passwords: Passwords | None = None,
    organisations: Mapping[str, Key] | None = None,
    certificates: CertificateFinder | None = None,
    tokens: TokenVerifier[Any] | None = None,
    key_sets: KeySets | None = None,
    told: list[Told] | None = None,
) -> Ports:
    """The outside world. time: also the clock of the counters, when these are not given. told: takes the events."""
    time = time or Time()
    counters = MemoryCounters(clocks=Clocks(time, time)) if counters is None else counters
    key_sets = key_sets or KeySets(_no_key_set, time)
    found = (organisations or {}).get
    certificates = certificates or KnownCertificates()
    heard = [] if told is None else told
    return Ports(
        keys or KnownKeys(), counters, passwords or Passwords(), tokens or TokenVerifier(), key_sets, found, certificates, time,
        lambda *event: heard.append(Told(*event)),
    )  # fmt: skip


def _no_key_set(url: str) -> bytes:
    raise OSError(url)


def ask(rule: Any, request: Exchange) -> Reply | None:
    """What a built middleware answers, whether at once or later. Raises its Refusal."""

    async def waiting(answer: Awaitable[Reply | None]) -> Reply | None:
        return await answer

    answer = rule.on_request(request)
    return answer if answer is None or isinstance(answer, Reply) else asyncio.run(waiting(answer))


def refusal(rule: Any, request: Exchange, kind: RefusalKind) -> Refusal:
    """The refusal of a built middleware, which must be of this kind."""
    with pytest.raises(Refusal) as refused:
        ask(rule, request)
    assert refused.value.kind is kind, refused.value.kind.code
    return refused.value
