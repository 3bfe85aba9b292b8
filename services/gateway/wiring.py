"""The parts of a worker, put together once: stores, keys, counters, events, the live set, and what keeps it fresh."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, partial
from typing import Final

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.common.migrations import check_migrated
from services.common.webhooks.courier import Courier
from services.gateway.analytics.record import DAY_S
from services.gateway.analytics.recorder import Recorder
from services.gateway.announcements import factory as announcements
from services.gateway.cache import factory as answers
from services.gateway.certificates import PublicTls, upstream_tls
from services.gateway.counters import factory as counters
from services.gateway.definitions.model import Definition
from services.gateway.events.events import Events
from services.gateway.events.messages import Templates
from services.gateway.freshness import Freshness
from services.gateway.judge import Judge
from services.gateway.keys.cache import CachedKeys
from services.gateway.keys.certificates import Certificates
from services.gateway.keys.changes import KeyChanges
from services.gateway.keys.key_sets import KeySets, fetch_key_set
from services.gateway.keys.organisations import Organisations
from services.gateway.keys.passwords import Passwords
from services.gateway.keys.tokens import TokenVerifier
from services.gateway.live import Live
from services.gateway.loading import Loading
from services.gateway.oauth.endpoints import Endpoints
from services.gateway.oauth.notifications import Bodies
from services.gateway.oauth.sweeping import Sweeping
from services.gateway.oauth.tokens import Tokens
from services.gateway.observe.access_log import AccessLog
from services.gateway.observe.gauges import Gauges
from services.gateway.observe.health import Health
from services.gateway.observe.loop_lag import LoopLag
from services.gateway.observe.recent import Recent
from services.gateway.observe.requests import Requests
from services.gateway.observe.tallies import Tallies
from services.gateway.observe.tracing import Exporter, Tracing
from services.gateway.ports import Ports
from services.gateway.request_ids import RequestIds
from services.gateway.script_keys import ScriptKeys
from services.gateway.scripts.handlers import Handlers
from services.gateway.scripts.scripts import Scripts
from services.gateway.settings import Settings, operator_key
from services.gateway.stores.activity import ActivityStore
from services.gateway.stores.analytics import AnalyticsKeeper, AnalyticsStore
from services.gateway.stores.audit import AuditKeeper, AuditStore
from services.gateway.stores.callers import GATEWAY
from services.gateway.stores.certificates import CertificateStore
from services.gateway.stores.copies import CopyKeeper, DefinitionCopy, copy_path
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.events import Outbox
from services.gateway.stores.files import FileDefinitions, seed
from services.gateway.stores.hooks import HOOKS, HookStore, SigningSecrets
from services.gateway.stores.keys import KEYS, SECRETS, KeyStore
from services.gateway.stores.oauth import OAuthStore
from services.gateway.stores.operators import OperatorStore
from services.gateway.stores.organisation_copy import OrganisationCopy
from services.gateway.stores.organisations import OrganisationStore
from services.gateway.stores.policies import PolicyStore
from services.gateway.stores.policy_files import FilePolicies, seed_policies
from services.gateway.stores.quota import QuotaLedger
from services.gateway.stores.sealing import Sealing
from services.gateway.threads import in_thread
from services.gateway.version import VERSION

log = logs.get(__name__)

# Calls in the store at once, half of them writers. The operator port has more threads than either.
_STORE_CALLS: Final = 16
_STOP_WITHIN: Final = 15.0
_DISPOSE_WITHIN: Final = 0.5
_RESERVED_FILES: Final = 256
_USER_AGENT: Final = "Tyk-Hookshot"  # as Tyk names itself to receivers of webhooks


def create_events(settings: Settings, database: CoreDatabase, hooks: HookStore, tokens: OAuthStore) -> Events:
    """Return the events of one worker, with the outbox and the secrets of this database."""
    outbox = Outbox(database)
    courier = Courier(
        outbox,
        SigningSecrets(hooks).of,
        settings.webhook_allow,
        user_agent=_USER_AGENT,
        allowed_by="GATEWAY_WEBHOOK_ALLOW",
        body_of=Bodies(tokens).of,
    )
    return Events(outbox, courier, Templates(settings.webhook_templates))


class Gateway:
    """The parts of one worker. Public: what the doors, the operator API, the command line and the tests use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.operator_key = operator_key(settings)
        self.database = CoreDatabase(settings.database_url, at_once=_STORE_CALLS, sqlite_synchronous=settings.sqlite_synchronous)
        self.caller = GATEWAY
        self.operators = OperatorStore(self.database)
        self.audit = AuditStore(self.database)
        self._audit_keeper = AuditKeeper(self.audit, settings.audit_days)
        files = settings.source == "files"
        self.definitions: DefinitionStore = FileDefinitions(settings.definitions) if files else DefinitionStore(self.database)
        self.sealing = Sealing(self.database, settings)
        self.policies = FilePolicies(self.database, settings.policies_file, self.definitions.known) if files else PolicyStore(self.database)
        self.keys_store = KeyStore(self.database, self.sealing, policies=self.policies)
        self.organisations_store = OrganisationStore(self.database)
        self.organisations = Organisations(self.organisations_store, OrganisationCopy(self.database, settings.copy_folder))
        self.public_tls = None if settings.tls_certificate is None else PublicTls(settings)
        self.certificates_store = CertificateStore(self.database)
        self.certificates = Certificates(self.certificates_store, self.public_tls)
        self.hooks = HookStore(self.database, self.sealing)
        self.keys = CachedKeys(self.keys_store)
        self.key_changes = KeyChanges(self.keys_store, self.keys)
        self.counters = counters.create(settings.valkey_url, settings.valkey_prefix, QuotaLedger(self.database))
        self.answers = answers.create(settings.valkey_url, settings.valkey_prefix, settings.cache_bytes)
        self.oauth_store = OAuthStore(self.database, self.sealing)
        self.events = create_events(settings, self.database, self.hooks, self.oauth_store)
        self.handlers = Handlers()
        self.events.tell_script = self.handlers.tell
        script_keys = ScriptKeys(self.keys_store, self.definitions, self.policies, self.certificates_store, self.publish_keys)
        self.scripts = Scripts(
            settings.middleware_path, seconds=settings.script_timeout, allowed=settings.script_allow,
            ask=script_keys.ask, save_meta=script_keys.save_meta,
        )  # fmt: skip
        self.live = Live(self.definitions, self._ports(), frozenset(settings.tags))
        copy = None if files else DefinitionCopy(self.database, copy_path(self.database, settings.copy_folder))
        self._copy_keeper = None if copy is None else CopyKeeper(copy, lambda: self.live.current)
        self.loading = Loading(self._load, self.live, copy)
        self.freshness = Freshness(
            self.loading,
            self.definitions,
            self.live,
            self.keys_store,
            self.keys,
            self.key_changes,
            self.organisations,
            self.certificates,
            self.policies,
        )
        self.health = Health(VERSION, lambda: self.freshness.well, self.counters if settings.valkey_url else None)
        self.judge = Judge(self.live, self.events, self.health.hello)
        self.announcements = announcements.create(settings.valkey_url, settings.valkey_prefix)
        self.oauth = Endpoints(
            Tokens(
                self.oauth_store,
                self.keys_store,
                self.definitions,
                self.policies,
                self.publish_keys,
                self.events.wake,
                lifetime=settings.oauth_token_lifetime,
                refresh_lifetime=settings.oauth_refresh_lifetime,
            )
        )
        self._sweeping = Sweeping(self.oauth_store, self.publish_keys)
        self.access_log = AccessLog(None if settings.access_log == "off" else settings.access_log, agent=settings.access_log_agent)
        self.tracing: Tracing | None = None
        if settings.tracing is not None:
            self.tracing = Tracing(partial(_exporter, settings.tracing), settings.tracing_ratio, self.access_log.write)
        analytics = AnalyticsStore(self.database)
        self._analytics_keeper = AnalyticsKeeper(analytics)
        self.recorder = Recorder(analytics.write, settings.analytics_days * DAY_S) if settings.analytics == "on" else None
        self.activity = ActivityStore(self.database, recording=self.recorder is not None)
        write = self.access_log.write if self.tracing is None else self.tracing.write
        self.tallies = Tallies(self.recorder.before(write) if self.recorder else write)
        self.requests = Requests(self.tallies)
        self.recent = Recent(self.tallies)
        self.loop_lag = LoopLag()
        self.max_connections = min(settings.max_connections, _connections_possible(tls=settings.tls_certificate is not None))
        self.turned_away = 0
        self.gauges = self._gauges()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.request_ids = RequestIds()

    def _ports(self) -> Ports:
        key_sets = KeySets(fetch_key_set(cache(partial(upstream_tls, self.settings))), time.time)
        return Ports(
            keys=self.keys,
            counters=self.counters,
            passwords=Passwords(),
            tokens=TokenVerifier(),
            key_sets=key_sets,
            organisation=self.organisations.find,
            certificates=self.certificates,
            now=time.time,
            tell=self.events.tell,
            answers=self.answers,
            scripts=self.scripts,
            folder=self.settings.middleware_path,
        )

    def _gauges(self) -> Gauges:
        gauges = Gauges()
        gauges.set("apis", "APIs that are served.", lambda: len(self.live.current.apis))
        gauges.set("apis_broken", "Definitions that cannot be served.", lambda: len(self.live.current.broken))
        gauges.set("live_generation", "Number of the last change of definitions that is served.", lambda: self.live.current.generation)
        gauges.set("keys_in_memory", "Keys that need no look into the store.", lambda: len(self.keys))
        gauges.set("connections_limit", "Client connections of the public port that there may be.", lambda: self.max_connections)
        gauges.count("connections_turned_away", "Connections that were answered 503 at the limit.", lambda: self.turned_away)
        gauges.count("requests_uncounted", "Requests that passed uncounted because Valkey was away.", lambda: self.counters.uncounted)
        if self.settings.valkey_url:
            gauges.set("valkey_up", "Whether Valkey counts: 1, or 0 when it is away.", lambda: float(self.counters.available))
            gauges.set(
                "valkey_round_trip_seconds", "How long Valkey took to answer, a second ago at most.", lambda: self.counters.round_trip
            )
        gauges.count("cache_hits", "Requests that were answered from the cache.", lambda: self.answers.hits)
        gauges.count("cache_misses", "Requests whose answer the cache did not have.", lambda: self.answers.misses)
        gauges.set("cache_bytes", "Bytes of the answers that the worker keeps, in memory or in Valkey.", lambda: self.answers.size)
        gauges.set("events_waiting", "Events that are not in the outbox yet.", self.events.pending)
        gauges.count("events_dropped", "Events that were lost.", lambda: self.events.dropped)
        tracing = self.tracing
        gauges.count("traces_exported", "Requests whose spans were sent.", lambda: tracing.exported if tracing else 0)
        gauges.count("traces_dropped", "Requests whose spans were lost.", lambda: tracing.dropped if tracing else 0)
        recorder = self.recorder
        gauges.set("analytics_waiting", "Requests whose record is not written yet.", lambda: recorder.waiting() if recorder else 0)
        gauges.count("analytics_dropped", "Requests that analytics did not record.", lambda: recorder.dropped if recorder else 0)
        gauges.count("access_log_lines_dropped", "Lines of the access log that could not be written.", lambda: self.access_log.dropped)
        return gauges

    async def start(self, my_turn: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Load everything, or the copy that stands in for an absent database; afterwards requests can be served.

        my_turn: waits until the predecessor has handed its counters over, and returns whether it has; None = there is no handing over.
        Raises NotMigrated, WrongMasterKey.
        """
        self._loop = asyncio.get_running_loop()
        self.loop_lag.start(self._loop)
        self.recent.start()
        await in_thread(self.loading.begin)
        if self.loading.missing:
            await in_thread(self.organisations.stand_in)
        if my_turn is not None and not await my_turn():
            log.warning("rate windows not taken over", reason="the predecessor did not end in time")
        await self.counters.start()
        await self.answers.start()
        await self.events.start()
        self.handlers.start()
        self.access_log.start()
        if self.tracing is not None:
            await in_thread(self.tracing.start)
        if self.recorder is not None:
            self.recorder.start()
        await in_thread(self.announcements.start, self.freshness.apply)
        if self._copy_keeper is not None:
            self._copy_keeper.start()
        self.freshness.start()
        self._sweeping.start()
        self._audit_keeper.start()
        self._analytics_keeper.start()

    def _load(self) -> None:
        check_migrated("gateway", self.database)
        self.sealing.check()
        if self.loading.missing:
            self.key_changes.look()  # keys may be in memory already; before the writes, which may fail for as long as these are used
        else:
            self.key_changes.begin()
        self.organisations.look()
        self.certificates.look()
        self.hooks.seal_all()
        self.keys_store.seal_all()
        self.sealing.wipe(HOOKS.name, KEYS.name, SECRETS.name)
        if self.settings.source == "database":
            if self.settings.definitions.is_dir():
                seed(self.definitions, self.settings.definitions)
            seed_policies(self.policies, self.settings.policies_file, self.definitions.known)
        self.live.reload()
        self.policies.reload()

    async def stop(self, within: float = _STOP_WITHIN) -> None:
        """Write everything that is still in memory, all parts at once: one that cannot be written does not hold up the others.

        within: seconds. What hangs longer is left to its daemon thread.
        """
        self.freshness.stop()
        self._sweeping.stop()
        self._audit_keeper.stop()
        self._analytics_keeper.stop()
        self.loop_lag.stop()
        self.recent.stop()
        ends: dict[str, Callable[[], Awaitable[None]]] = {
            "announcements": partial(in_thread, self.announcements.stop),
            "scripts": self.scripts.stop,
            "events": self.events.stop,
            "counters": self.counters.stop,
            "kept answers": self.answers.stop,
            "which keys were used": partial(in_thread, self.freshness.mark_used),
            "access log": partial(in_thread, self.access_log.stop),
        }
        if self.tracing is not None:
            ends["traces"] = partial(in_thread, self.tracing.stop)
        if self.recorder is not None:
            ends["analytics"] = self.recorder.stop
        if self._copy_keeper is not None:
            ends["copy of the definitions"] = self._copy_keeper.stop
        ending = {asyncio.ensure_future(_end(what, stop)): what for what, stop in ends.items()}
        _, late = await asyncio.wait(ending, timeout=within)
        for task in late:
            log.error("last write failed", what=ending[task], error="no time is left")
            task.cancel()
        # A connection that hangs may hang once more when it is closed.
        disposing = asyncio.ensure_future(in_thread(self.database.dispose))
        await asyncio.wait({disposing, *late}, timeout=_DISPOSE_WITHIN)
        disposing.cancel()

    # Changes. All of these block, and belong in threads.

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """Compile a definition beside the live set. replaces: the api_id whose place it takes. Raises Mistakes."""
        self.live.check(definition, replaces)

    def publish_definitions(self) -> list[str]:
        """Make every worker load the definitions that changed; return the names of those that have not confirmed."""
        return self.announcements.publish("definitions")

    def publish_reload(self) -> list[str]:
        """Make every worker read all definitions again; return the names of those that have not confirmed."""
        return self.announcements.publish("reload")

    def publish_keys(self, generation: int, hashes: Iterable[str]) -> list[str]:
        """Make every worker forget the keys of this change; return the names of those that have not confirmed."""
        return self.announcements.publish("keys", [str(generation), *hashes])

    def publish_organisations(self) -> list[str]:
        """Make every worker load the sessions of organisations; return the names of those that have not confirmed."""
        return self.announcements.publish("organisations")

    def publish_certificates(self) -> list[str]:
        """Make every worker load the certificates of clients; return the names of those that have not confirmed."""
        return self.announcements.publish("certificates")

    @property
    def speaks_tls(self) -> bool:
        """Whether the public port speaks TLS."""
        return self.public_tls is not None

    def reset_counters(self, names: Iterable[str]) -> None:
        """Reset counters, durable ones included."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self.counters.reset(*names), self._loop).result(10)

    def purge_answers(self, api_id: str) -> None:
        """Forget the kept answers of an API, for all workers. Raises NotPurged."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self.answers.purge(api_id), self._loop).result(10)


def _exporter(endpoint: str) -> Exporter:
    """Load OpenTelemetry, which only a gateway that traces needs; it takes a moment, and some megabytes."""
    from services.gateway.observe.spans import OtlpExporter

    return OtlpExporter(endpoint)


async def _end(what: str, stop: Callable[[], Awaitable[None]]) -> None:
    try:
        await stop()
    except Exception as error:
        log.error("last write failed", what=what, error=type(error).__name__)


def _connections_possible(*, tls: bool) -> int:
    """Return how many clients the limit of open files leaves room for.

    Each may need a connection to an upstream, too, and with TLS as many others may be shaking hands.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):
            log.info("limit of open files not raised", limit=soft)
    return max(16, (soft - _RESERVED_FILES) // (3 if tls else 2))
