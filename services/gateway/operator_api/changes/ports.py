"""What the operator API needs from its gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake
from services.gateway.exchange import CompiledApi, Reply
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


class LiveSet(Protocol):
    """The APIs that this worker serves. broken: those whose definition does not compile, with the reasons. elsewhere: the definitions that
    only gateways with other tags serve.
    """

    @property
    def number(self) -> int: ...
    @property
    def apis(self) -> Mapping[str, CompiledApi]: ...
    @property
    def broken(self) -> Mapping[str, Iterable[Mistake]]: ...
    @property
    def elsewhere(self) -> Mapping[str, Mapping[str, Any]]: ...


class Live(Protocol):
    @property
    def current(self) -> LiveSet: ...


class Events(Protocol):
    @property
    def outbox(self) -> Outbox: ...

    def wake(self) -> None:
        """Wake the courier: the outbox has calls to make. Thread-safe."""

    def fire(self, event_name: str, api: CompiledApi | None, metadata: dict[str, Any]) -> None:
        """Tell the handlers of an event. Thread-safe."""


class Announcements(Protocol):
    def workers(self) -> list[str]:
        """Return the names of the workers that are known to run. Raises Unreachable."""
        ...


class Health(Protocol):
    def hello(self) -> Reply:
        """Report whether the gateway is well, in Tyk's format."""
        ...


class OAuth(Protocol):
    def authorize_client(self, api: CompiledApi, fields: list[tuple[str, str]]) -> Reply:
        """Answer the server of a login page. Raises Refusal."""
        ...


class Gateway(Protocol):
    """What a worker process offers. All methods may be called from any thread."""

    @property
    def operator_key(self) -> str:
        """The first key, which may do everything; never empty."""
        ...

    @property
    def caller(self) -> Caller:
        """On whose behalf the stores work."""
        ...

    @property
    def operators(self) -> OperatorStore: ...
    @property
    def activity(self) -> ActivityStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def definitions(self) -> DefinitionStore: ...
    @property
    def keys_store(self) -> KeyStore: ...
    @property
    def policies(self) -> PolicyStore: ...
    @property
    def organisations_store(self) -> OrganisationStore: ...
    @property
    def certificates_store(self) -> CertificateStore: ...
    @property
    def speaks_tls(self) -> bool:
        """Whether the public port speaks TLS."""
        ...

    @property
    def oauth_store(self) -> OAuthStore: ...
    @property
    def oauth(self) -> OAuth: ...
    @property
    def hooks(self) -> HookStore: ...
    @property
    def live(self) -> Live: ...
    @property
    def events(self) -> Events: ...
    @property
    def announcements(self) -> Announcements: ...
    @property
    def health(self) -> Health: ...

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """Compile beside the live set. replaces: the api_id of the definition that goes. Raises Mistakes."""

    def publish_definitions(self) -> list[str]:
        """Make every worker load the definitions that changed. Returns the names of workers that did not confirm in time."""
        ...

    def publish_reload(self) -> list[str]:
        """Make every worker read all definitions again. Returns the names of workers that did not confirm in time."""
        ...

    def publish_keys(self, generation: int, hashes: Iterable[str]) -> list[str]:
        """Make every worker forget the keys of a change. Returns the names of workers that did not confirm in time.

        generation: the number of the change.
        """
        ...

    def publish_organisations(self) -> list[str]:
        """Make every worker load the sessions of organisations. Returns the names of workers that did not confirm in time."""
        ...

    def publish_certificates(self) -> list[str]:
        """Make every worker load the certificates. Returns the names of workers that did not confirm in time."""
        ...

    def purge_answers(self, api_id: str) -> None:
        """Forget the kept answers of an API, for all workers. Raises NotPurged."""

    def reset_counters(self, names: Iterable[str]) -> None: ...
