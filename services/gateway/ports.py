"""What middlewares ask of the outside world, such as keys, counters and the time. Given to every middleware when it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from services.gateway.cache.memory import MemoryAnswers
from services.gateway.cache.port import AnswerStore
from services.gateway.counters.port import Counters
from services.gateway.exchange import Exchange
from services.gateway.keys.certificates import CertificateFinder
from services.gateway.keys.key_sets import KeySets
from services.gateway.keys.model import Key, KeyFinder
from services.gateway.keys.passwords import Passwords
from services.gateway.keys.tokens import TokenVerifier
from services.gateway.scripts.scripts import Scripts
from services.gateway.threads import Threads

_BODIES_AT_ONCE: Final = 2
_NOWHERE: Final = Path("/nonexistent")
# (the request that is the cause, name of the event, its metadata). Never blocks.
Tell = Callable[[Exchange, str, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Ports:
    """organisation: returns the session of an organisation by its id, None when it has none. now: epoch seconds. tell: tells the handlers
    of the request's API of an event that refuses nothing. bodies: the threads in which large bodies are looked at.
    scripts: those of definitions; answers: those of upstreams that are kept. folder: where the files lie that definitions name.
    """

    keys: KeyFinder
    counters: Counters
    passwords: Passwords
    tokens: TokenVerifier[Any]
    key_sets: KeySets
    organisation: Callable[[str], Key | None]
    certificates: CertificateFinder
    now: Callable[[], float]
    tell: Tell = lambda exchange, event, metadata: None
    scripts: Scripts = field(default_factory=lambda: Scripts(_NOWHERE))
    bodies: Executor = field(default_factory=lambda: Threads(_BODIES_AT_ONCE, "bodies"))
    answers: AnswerStore = field(default_factory=MemoryAnswers)
    folder: Path = _NOWHERE
