"""Asks a script who calls (`custom_middleware.auth_check`): it returns a session, which is the key of the request, or refuses.

The script sees the request and may change it, as one of `pre`. What it returns is checked as a stored session is; its rights and limits
then count as those of any key, and a policy in `apply_policies` must exist. Callers whom it names by the same `AuthValue` (or `key_id`, or
`token` in the `meta_data`) share their limits, in all APIs of the organisation; those whom it does not name share those of the API. A
script that neither returns a session nor refuses has failed. It is asked for each request.

Fields:
* `custom_middleware.auth_check.name` (2.3, required): As in `pre`, of the script that says who calls, with `custom_plugin_auth_enabled`.
  It may also be found by its folder. Differs: JavaScript that returns no session, and does not refuse, is answered 500; Tyk lets the
  request in.
* `custom_middleware.auth_check.path` (2.3): As in `pre`.
* `custom_middleware.auth_check.code` (2.7): As in `pre`.
* `custom_middleware.auth_check.require_session` (2.3): Has no effect: there is no key yet.
* `custom_middleware.auth_check.raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.auth_check.disabled` (5.3): Leaves the script out, which is a mistake where it is asked for.
* `custom_middleware.id_extractor` (2.3): Has no effect: `auth_check` is asked for each request.
Refusals: script-not-authorised, script-failed, script-timeout, scripts-busy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass

from services.gateway.credentials import Credential
from services.gateway.definitions.model import ScriptSet, Way
from services.gateway.definitions.reader import Mistake, Mistakes, says_nothing
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.script_schema import NO_CHECK
from services.gateway.exchange import BATCH_PATH, Exchange, Reply
from services.gateway.keys.model import Key, KeyFinder
from services.gateway.ports import Ports
from services.gateway.refusals import SCRIPT_NOT_AUTHORISED, Refusal
from services.gateway.scripts.request_objects import apply, request_json, unusable
from services.gateway.scripts.scripts import Out, Running
from services.gateway.scripts.sessions import ScriptedKeys

_EXTRACTOR = "/custom_middleware/id_extractor"


@dataclass(frozen=True, slots=True)
class Spec:
    """scripts: all of the API. way: what `strip_auth_data` keeps from the upstream, and whether its limits count."""

    scripts: ScriptSet
    way: Way


def fields(reader: DefinitionReader) -> Spec | None:
    """Return the scripts; None when no script is asked who calls."""
    way = reader.definition.ways.get("custom_auth")
    return None if way is None else Spec(reader.definition.scripts, way)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of a cache of sessions that there is not."""
    extractor = reader.opaque("custom_middleware").value("id_extractor")
    if fields(reader) is not None and not says_nothing(extractor):
        yield Mistake(_EXTRACTOR, "id_extractor has no effect: auth_check is asked for each request")


def build(spec: Spec, ports: Ports) -> CustomAuth:
    """Load the file. Raises Mistakes, also when there is no script."""
    running = ports.scripts.load(spec.scripts)
    if running is None or not running.of("auth_check"):
        raise Mistakes([Mistake("/custom_plugin_auth_enabled", NO_CHECK)])
    return CustomAuth(spec, running, ports.keys)


class CustomAuth:
    """Sets the exchange's key."""

    __slots__ = ("_credential", "_find_made", "_is_base", "_keys", "_place", "_running")

    def __init__(self, spec: Spec, running: Running, keys: KeyFinder) -> None:
        [script] = running.of("auth_check")
        self._running = running
        self._place = running.place(script)
        self._keys = ScriptedKeys(spec.scripts.api_id, spec.scripts.org_id)
        self._find_made = keys.find_made
        self._is_base = spec.way.is_base
        self._credential = Credential(spec.way.places)

    def on_request(self, exchange: Exchange) -> Reply | Awaitable[Reply | None] | None:
        if exchange.body is not None or exchange.body_length == 0 or _is_envelope(exchange):
            return self._ask(exchange, exchange.body or b"")
        return self._with_body(exchange)

    async def _with_body(self, exchange: Exchange) -> Reply | None:
        found = self._ask(exchange, await exchange.read_body())
        return found if found is None or isinstance(found, Reply) else await found

    def _ask(self, exchange: Exchange, body: bytes) -> Reply | Awaitable[Reply | None] | None:
        out = self._running.run(self._place, request_json(exchange, body, before_authentication=True), "")
        return self._judge(exchange, out, body) if isinstance(out, dict) else self._later(exchange, out, body)

    async def _later(self, exchange: Exchange, out: Awaitable[Out], body: bytes) -> Reply | None:
        found = self._judge(exchange, await out, body)
        return found if found is None or isinstance(found, Reply) else await found

    def _judge(self, exchange: Exchange, out: Out, body: bytes) -> Reply | Awaitable[Reply | None] | None:
        """Let a request in whose session is sound. Raises Refusal."""
        reply = apply(exchange, out, body, before_authentication=True, refusing=SCRIPT_NOT_AUTHORISED)
        if reply is not None:
            return reply
        if "session" not in out:
            raise Refusal(SCRIPT_NOT_AUTHORISED)
        try:
            made = self._keys.made(out)
        except ValueError as error:
            raise unusable(exchange, str(error)) from None
        key = self._find_made(made)
        if key is None or isinstance(key, Key):
            self._let_in(exchange, key)
            return None
        return self._wait(exchange, key)

    async def _wait(self, exchange: Exchange, finding: Awaitable[Key | None]) -> None:
        self._let_in(exchange, await finding)

    def _let_in(self, exchange: Exchange, key: Key | None) -> None:
        if key is None:
            raise unusable(exchange, "a policy of the session does not exist, or is of another organisation")
        exchange.add_key(key, self._is_base)
        self._credential.strip(exchange)


def _is_envelope(exchange: Exchange) -> bool:
    """Tell whether it is the envelope of a batch, which is read in a way of its own: its entries are judged one by one."""
    return exchange.relative == BATCH_PATH and exchange.api is not None and exchange.api.batch
