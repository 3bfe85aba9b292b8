"""Everything that a worker is made of, put together once: stores, keys, counters, events, the live set, and how changes get to it."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import resource
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.common.migrations import check_migrated
from services.gateway.announcements import factory as announcements
from services.gateway.announcements.port import worker_name
from services.gateway.counters import factory as counters
from services.gateway.definitions.model import Definition
from services.gateway.events.delivery import Courier
from services.gateway.events.events import Events
from services.gateway.events.messages import Templates
from services.gateway.exchange import Reply
from services.gateway.judge import Judge
from services.gateway.keys.cache import CachedKeys
from services.gateway.keys.changes import KeyChanges
from services.gateway.live import Live
from services.gateway.loading import Loading
from services.gateway.observe.access_log import AccessLog
from services.gateway.observe.gauges import Gauges
from services.gateway.ports import Ports
from services.gateway.settings import Settings, operator_key
from services.gateway.stores.copies import CopyKeeper, DefinitionCopy, copy_path
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.events import Outbox
from services.gateway.stores.files import FileDefinitions, seed
from services.gateway.stores.hooks import HookStore, SigningSecrets
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.quota import QuotaLedger
from services.gateway.stores.sealing import Sealing
from services.gateway.threads import in_thread

log = logs.get(__name__)

VERSION: Final = "0.1.0"
_LOOK_AGAIN: Final = 3.0
_AT_ONCE: Final = 0.5
# At once in the store, half of them writers. The threads of the operator port are more than either.
_STORE_CALLS: Final = 16
_STOP_WITHIN: Final = 15.0
_DISPOSE_WITHIN: Final = 0.5
_RESERVED_FILES: Final = 256


def create_events(settings: Settings, database: CoreDatabase, hooks: HookStore) -> Events:
    """The events of one worker, with the outbox and the secrets of this database."""
    outbox = Outbox(database)
    courier = Courier(outbox, SigningSecrets(hooks).of, settings.webhook_allow)
    return Events(outbox, courier, Templates(settings.webhook_templates))


class Gateway:
    """One worker's parts. What is public here is what the operator API, the front door and the tests use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.operator_key = operator_key(settings)
        self.database = CoreDatabase(settings.database_url, at_once=_STORE_CALLS, sqlite_synchronous=settings.sqlite_synchronous)
        files = settings.source == "files"
        self.definitions: DefinitionStore = FileDefinitions(settings.definitions) if files else DefinitionStore(self.database)
        self.keys_store = KeyStore(self.database)
        self.sealing = Sealing(self.database, settings)
        self.hooks = HookStore(self.database, self.sealing)
        self.keys = CachedKeys(self.keys_store)
        self.key_changes = KeyChanges(self.keys_store, self.keys)
        self.counters = counters.create(settings.valkey_url, QuotaLedger(self.database))
        self.events = create_events(settings, self.database, self.hooks)
        self.live = Live(self.definitions, Ports(self.keys, self.counters, time.time))
        self.judge = Judge(self.live, self.events, self.hello)
        copy = None if files else DefinitionCopy(self.database, copy_path(self.database, settings.copy_folder))
        self._copy_keeper = None if copy is None else CopyKeeper(copy, lambda: self.live.current)
        self.loading = Loading(self._load, self.live, copy)
        self.announcements = announcements.create(settings.valkey_url, settings.valkey_prefix)
        self.access_log = AccessLog(None if settings.access_log == "off" else settings.access_log)
        self.max_connections = min(settings.max_connections, _connections_possible(tls=settings.tls_certificate is not None))
        self.turned_away = 0
        self.gauges = self._gauges()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._looking: threading.Thread | None = None
        self._database_well = True
        # One call of C code: the name of this worker and a number that rises.
        self.next_request_id: Callable[[], str] = map((secrets.token_hex(8) + "%08x").__mod__, itertools.count(1)).__next__

    def _gauges(self) -> Gauges:
        gauges = Gauges(worker_name())
        gauges.set("apis", "APIs that are served.", lambda: len(self.live.current.apis))
        gauges.set("apis_broken", "Definitions that cannot be served.", lambda: len(self.live.current.broken))
        gauges.set("keys_in_memory", "Keys that need no look into the store.", lambda: len(self.keys))
        gauges.set("connections_turned_away", "Connections that were answered 503 at the limit, since the start.", lambda: self.turned_away)
        gauges.set(
            "requests_uncounted",
            "Requests that passed uncounted because Valkey was away, since the start.",
            lambda: self.counters.uncounted,
        )
        gauges.set("events_waiting", "Events that are not in the outbox yet.", self.events.pending)
        gauges.set("events_dropped", "Events that were lost, since the start.", lambda: self.events.dropped)
        gauges.set("access_log_lines_dropped", "Lines that could not be written, since the start.", lambda: self.access_log.dropped)
        return gauges

    # Life.

    async def start(self, my_turn: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Load everything, or what stands in for a database that is away; afterwards requests can be served.

        my_turn: waits until the worker before this one has handed its counters over; None = there are no such workers.
        Raises NotMigrated, WrongMasterKey.
        """
        self._loop = asyncio.get_running_loop()
        await in_thread(self.loading.begin)
        self._database_well = not self.loading.missing
        if my_turn is not None and not await my_turn():
            log.warning("the worker before this one has not handed its rate windows over; they start at zero")
        await self.counters.start()
        await self.events.start()
        self.access_log.start()
        await in_thread(self.announcements.start, self._apply)
        if self._copy_keeper is not None:
            self._copy_keeper.start()
        self._looking = threading.Thread(target=self._follow_database, name="look-again", daemon=True)
        self._looking.start()

    def _load(self) -> None:
        check_migrated("gateway", self.database)
        self.sealing.check()
        if self.loading.missing:
            self.key_changes.look()  # keys may be in memory already; before the writes, which may fail for as long as these are used
        else:
            self.key_changes.begin()
        self.hooks.seal_all()
        if self.settings.source == "database" and self.settings.definitions.is_dir():
            seed(self.definitions, self.settings.definitions)
        self.live.reload()

    def _follow_database(self) -> None:
        self.loading.go_on(self._stopping)
        self._database_well = True
        self._look_again()

    async def stop(self, within: float = _STOP_WITHIN) -> None:
        """Write everything that is still in memory. What cannot be written keeps nothing else from being written: each has all the time.

        within: seconds. What hangs longer is left to its daemon thread.
        """
        self._stopping.set()
        ends: dict[str, Callable[[], Awaitable[None]]] = {
            "announcements": partial(in_thread, self.announcements.stop),
            "events": self.events.stop,
            "counters": self.counters.stop,
            "which keys were used": partial(in_thread, self._mark_used),
            "access log": partial(in_thread, self.access_log.stop),
        }
        if self._copy_keeper is not None:
            ends["copy of the definitions"] = self._copy_keeper.stop
        ending = {asyncio.ensure_future(_end(what, stop)): what for what, stop in ends.items()}
        _, late = await asyncio.wait(ending, timeout=within)
        for task in late:
            log.error("not all could be written at the end", what=ending[task], error="no time is left")
            task.cancel()
        # A connection that hangs may hang once more when it is closed.
        disposing = asyncio.ensure_future(in_thread(self.database.dispose))
        await asyncio.wait({disposing, *late}, timeout=_DISPOSE_WITHIN)
        disposing.cancel()

    # Changes. All of these block, and belong into threads.

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """Compiles a definition beside the live set. Raises Mistakes."""
        self.live.check(definition, replaces)

    def publish_definitions(self) -> list[str]:
        """Every worker loads the definitions that changed; the names of those that have not confirmed."""
        return self.announcements.publish("definitions")

    def publish_reload(self) -> list[str]:
        """Every worker reads all definitions again; the names of those that have not confirmed."""
        return self.announcements.publish("reload")

    def publish_keys(self, generation: int, hashes: Iterable[str]) -> list[str]:
        """Every worker forgets the keys of this change; the names of those that have not confirmed."""
        return self.announcements.publish("keys", [str(generation), *hashes])

    def reset_counters(self, names: Iterable[str]) -> None:
        """Sets counters back to nothing, durable ones included."""
        assert self._loop is not None
        for name in names:
            asyncio.run_coroutine_threadsafe(self.counters.reset(name), self._loop).result(10)

    def _apply(self, kind: str, items: list[str]) -> None:
        if kind == "definitions":
            self.live.catch_up()
        elif kind == "reload":
            self.live.reload()
        elif kind == "keys" and items:
            generation, *hashes = items
            self.key_changes.heard(int(generation), hashes)
        elif kind == "keys":
            self._look_for_keys()

    def _look_for_keys(self) -> None:
        """Forgets the keys that changed while nothing was heard; all of them when the store does not say at once which."""
        too_late = threading.Timer(_AT_ONCE, self.keys.clear)
        too_late.daemon = True
        too_late.start()
        try:
            self.key_changes.look()
        except Exception as error:
            log.warning("what was announced is unknown, and so is what changed: all keys are forgotten", error=type(error).__name__)
            self.keys.clear()
        finally:
            too_late.cancel()

    def _look_again(self) -> None:
        """Finds what no announcement said: another process wrote, or a message was lost. Notes which keys were used.

        At once for the first time: since everything was loaded the worker may have waited for its turn, while another one took changes.
        """
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = _LOOK_AGAIN
            try:
                self._catch_up()
                self._mark_used()
                self._database_well = True
            except Exception as error:  # the database is away: what is loaded goes on serving
                if self._database_well:
                    log.error("the database cannot be asked", error=f"{type(error).__name__}")
                self._database_well = False

    def _catch_up(self) -> None:
        self.key_changes.look()  # first: a key that was revoked must not wait until many definitions are loaded
        if self.definitions.generation() != self.live.current.generation:
            self.live.catch_up()

    def _mark_used(self) -> None:
        used = self.keys.take_used()
        if used:
            try:
                self.keys_store.mark_used(used, dt.datetime.now(dt.UTC))
            except Exception:
                self.keys.give_back_used(used)
                raise

    # Health.

    def hello(self) -> Reply:
        """`/hello`, as Tyk 3.1 shapes it; 503 only when requests cannot be judged rightly."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        details: dict[str, Any] = {"database": {"status": _word(self._database_well), "componentType": "datastore", "time": now}}
        well = self._database_well
        if self.settings.valkey_url:
            available = self.counters.available
            well = well and available
            details["redis"] = {"status": _word(available), "componentType": "datastore", "time": now}
        body = {"status": "pass" if well else "warn", "version": VERSION, "description": "Gatehouse", "details": details}
        return Reply(200, [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")], json.dumps(body).encode() + b"\n")


async def _end(what: str, stop: Callable[[], Awaitable[None]]) -> None:
    try:
        await stop()
    except Exception as error:
        log.error("not all could be written at the end", what=what, error=type(error).__name__)


def _word(well: bool) -> str:
    return "pass" if well else "fail"


def _connections_possible(*, tls: bool) -> int:
    """How many clients the limit of open files leaves room for. Each may need a connection to an upstream, too, and with TLS as many
    others may be shaking hands.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):
            log.info("the limit of open files could not be raised", limit=soft)
    return max(16, (soft - _RESERVED_FILES) // (3 if tls else 2))
