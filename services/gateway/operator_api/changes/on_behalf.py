"""The gateway as one caller of the operator API sees it: the one place where the scope of an organisation is applied.

Routes and changes get their gateway from here, so they cannot reach what belongs to another organisation, and what they write is recorded.
A store that is not listed here cannot be reached from a route at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from services.gateway.compiler import broken_api
from services.gateway.definitions.claims import Occupied, place_taken
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes, read_json
from services.gateway.definitions.session_schema import read_session
from services.gateway.exchange import CompiledApi, Reply
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Announcements, Events, Gateway, Health, Live, LiveSet, OAuth
from services.gateway.routing.places import Place, place_of
from services.gateway.stores.activity import ActivityStore
from services.gateway.stores.audit import AuditStore
from services.gateway.stores.callers import Caller
from services.gateway.stores.certificates import CertificateStore
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.events import Outbox
from services.gateway.stores.hooks import HookStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.oauth import OAuthStore
from services.gateway.stores.operators import OperatorStore
from services.gateway.stores.organisations import OrganisationStore
from services.gateway.stores.policies import PolicyStore


class OnBehalf:
    """A `Gateway` for one call. whole: the gateway with everything."""

    def __init__(self, whole: Gateway, caller: Caller) -> None:
        self._whole = whole
        self.caller = caller

    @property
    def operator_key(self) -> str:
        return self._whole.operator_key

    # Not kept, and policies neither: what comes from files may be read again during the call.
    @property
    def definitions(self) -> DefinitionStore:
        return self._whole.definitions.for_caller(self.caller)

    @cached_property
    def operators(self) -> OperatorStore:
        return self._whole.operators.for_caller(self.caller)

    @cached_property
    def activity(self) -> ActivityStore:
        return self._whole.activity.for_caller(self.caller)

    @cached_property
    def audit(self) -> AuditStore:
        return self._whole.audit.for_caller(self.caller)

    @cached_property
    def keys_store(self) -> KeyStore:
        return self._whole.keys_store.for_caller(self.caller)

    @property
    def policies(self) -> PolicyStore:
        return self._whole.policies.for_caller(self.caller)

    @cached_property
    def organisations_store(self) -> OrganisationStore:
        return self._whole.organisations_store.for_caller(self.caller)

    @cached_property
    def certificates_store(self) -> CertificateStore:
        return self._whole.certificates_store.for_caller(self.caller)

    @property
    def speaks_tls(self) -> bool:
        return self._whole.speaks_tls

    @cached_property
    def oauth_store(self) -> OAuthStore:
        return self._whole.oauth_store.for_caller(self.caller)

    @property
    def oauth(self) -> OAuth:
        return OwnOAuth(self._whole.oauth, self) if self.caller.org_id else self._whole.oauth

    @cached_property
    def hooks(self) -> HookStore:
        return self._whole.hooks.for_caller(self.caller)

    @property
    def live(self) -> Live:
        return OwnLive(self) if self.caller.org_id else self._whole.live

    @cached_property
    def events(self) -> Events:
        return OwnEvents(self._whole.events, self.caller)

    @property
    def announcements(self) -> Announcements:
        return self._whole.announcements

    @property
    def health(self) -> Health:
        return self._whole.health

    @property
    def whole_set(self) -> LiveSet:
        """Return everything that is served, for the view of it."""
        return self._whole.live.current

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """As that of the gateway; does not name another organisation's API. Raises Mistakes."""
        try:
            self._whole.check(definition, replaces)
        except Occupied as occupied:
            if not self.caller.org_id or self.definitions.get(occupied.api_id) is not None:
                raise
            raise Mistakes([place_taken("another API", occupied.where)]) from None
        if self.caller.org_id and definition.active and not definition.internal:
            self._check_takes_nothing(definition, replaces)

    def _check_takes_nothing(self, definition: Definition, replaces: str | None) -> None:
        """Check that an organisation's API gets no requests of another organisation's, with the keys that they carry. Raises Mistakes.

        What stands where it stood may stay: who sees everything has put it there.
        """
        place = place_of(definition.domain, definition.proxy.listen_path)
        current = self._whole.live.current
        serving = {api_id: _place(api) for api_id, api in current.apis.items() if not api.internal}
        # Those of gateways with other tags, which the new one may be served by, too.
        serving |= {api_id: found for api_id, raw in current.elsewhere.items() if (found := _place_of_stored(raw)) is not None}
        if replaces is not None and serving.get(replaces) == place:
            return
        covered = {api_id for api_id, theirs in serving.items() if api_id != replaces and place.takes_from(theirs)}
        if covered and covered - set(self.definitions.known(covered)):
            raise Mistakes([Mistake("/proxy/listen_path", "this would take requests from an API of another organisation")])

    def publish_definitions(self) -> list[str]:
        return self._whole.publish_definitions()

    def publish_reload(self) -> list[str]:
        return self._whole.publish_reload()

    def publish_keys(self, generation: int, hashes: Iterable[str]) -> list[str]:
        return self._whole.publish_keys(generation, hashes)

    def publish_organisations(self) -> list[str]:
        return self._whole.publish_organisations()

    def publish_certificates(self) -> list[str]:
        return self._whole.publish_certificates()

    def purge_answers(self, api_id: str) -> None:
        self._whole.purge_answers(api_id)

    def reset_counters(self, names: Iterable[str]) -> None:
        self._whole.reset_counters(names)


def _place(api: CompiledApi) -> Place:
    return place_of(api.definition.domain, api.definition.proxy.listen_path)


def _place_of_stored(raw: Mapping[str, Any]) -> Place | None:
    """Return the place that a stored definition takes where it is served; None when it takes none."""
    api = broken_api(raw, 0)
    return None if api is None or api.internal or raw.get("active") is False else place_of(api.domain, api.listen_path)


class OwnOAuth:
    """What login servers of one organisation ask: their `key_rules` may name only what is its own."""

    def __init__(self, whole: OAuth, gateway: OnBehalf) -> None:
        self._whole = whole
        self._gateway = gateway

    def authorize_client(self, api: CompiledApi, fields: list[tuple[str, str]]) -> Reply:
        """As that of the gateway. Raises Refusal, OperatorRefusal, OtherOrganisation."""
        own = self._gateway
        for text in (value for name, value in fields if name == "key_rules" and value):
            try:
                rules = read_session(read_json(text), own.definitions.known, own.policies.owners, own.certificates_store.owners)
            except Mistakes as error:
                raise refusals.invalid("key", error) from None
            own.caller.check(rules.get("org_id") or own.caller.org_id)
        return self._whole.authorize_client(api, fields)


class OwnLive:
    """The live set of one organisation."""

    def __init__(self, gateway: OnBehalf) -> None:
        self._gateway = gateway

    @property
    def current(self) -> LiveSet:
        """Return what is served now, as it is at this moment."""
        return OwnSet(self._gateway)


class OwnSet:
    """What is served of one organisation. A definition that is broken says nothing of its owner, so the store is asked."""

    def __init__(self, gateway: OnBehalf) -> None:
        self._gateway = gateway
        self._whole = gateway.whole_set

    @property
    def number(self) -> int:
        return self._whole.number

    @property
    def apis(self) -> Mapping[str, CompiledApi]:
        return self._own(self._whole.apis)

    @property
    def broken(self) -> Mapping[str, Iterable[Mistake]]:
        return self._own(self._whole.broken)

    @property
    def elsewhere(self) -> Mapping[str, Mapping[str, Any]]:
        return self._own(self._whole.elsewhere)

    def _own(self, found: Mapping[str, Any]) -> dict[str, Any]:
        known = self._gateway.definitions.known(set(found)) if found else {}
        return {api_id: one for api_id, one in found.items() if api_id in known}


class OwnEvents:
    """The events of the gateway, with the outbox as the caller sees it."""

    def __init__(self, whole: Events, caller: Caller) -> None:
        self._whole = whole
        self._caller = caller

    @cached_property
    def outbox(self) -> Outbox:
        return self._whole.outbox.for_caller(self._caller)

    def wake(self) -> None:
        self._whole.wake()

    def fire(self, event_name: str, api: CompiledApi | None, metadata: dict[str, Any]) -> None:
        self._whole.fire(event_name, api, metadata)
