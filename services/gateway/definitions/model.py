"""An API definition after it was read: frozen, whole, every value checked. Nothing here knows JSON, sockets or stores.

A middleware keeps what it needs in a spec of its own (`Definition.specs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeVar

from services.gateway.definitions.error_rules import ErrorRules
from services.gateway.exchange import LoopOptions
from services.gateway.routing.patterns import Matching
from services.gateway.wire.routes import Route

Spec = TypeVar("Spec")

# The organisation of what names none.
DEFAULT_ORG: Final = "default"
WEBHOOK: Final = "eh_web_hook_handler"
LOG: Final = "eh_log_handler"
SCRIPT: Final = "eh_dynamic_handler"
ScriptKind = Literal["pre", "auth_check", "post_key_auth", "post", "response", "virtual", "event"]
Language = Literal["javascript", "python"]


@dataclass(frozen=True, slots=True)
class Version:
    """expires: epoch seconds, None = never. path_matching, ignore_endpoint_case: of all its patterns."""

    name: str
    expires: float | None = None
    path_matching: Matching = "search"
    ignore_endpoint_case: bool = False


@dataclass(frozen=True, slots=True)
class ProxyTimeouts:
    """Seconds: to connect, until the first byte of the answer, between two bytes of it."""

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """One upstream. path: "" or "/base" without a trailing slash; host in its ASCII form, IPv6 without brackets.

    With the scheme `tyk` it is an API of the gateway: host is its id or name, and `loop` how the request goes there.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    loop: LoopOptions | None = None


class Reaching(NamedTuple):
    """How an API reaches its upstreams. usual: where no host says otherwise. pins, certificates: by host, as `Routes` takes them."""

    usual: Route = Route()
    pins: Mapping[str, frozenset[str]] = {}
    certificates: Mapping[str, str] = {}

    @property
    def differs(self) -> bool:
        """Tell whether anything is not as usual."""
        return self != Reaching()


@dataclass(frozen=True, slots=True)
class UptimeTest:
    """A request that tells whether an upstream is well. timeout: seconds."""

    url: TargetUrl
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """listen_path in its one form: leading and trailing slash, "/" for the root, `{name}` for any one segment.

    pass_headers, pass_trailers: names, in lower case, that go on although others of their kind do not. least_connections: whether
    the target with fewest connections in use is taken, in place of one after the other. heeds_uptime_tests: whether one whose tests fail is
    left out.
    """

    listen_path: str
    targets: tuple[TargetUrl, ...]
    strip_listen_path: bool
    timeouts: ProxyTimeouts = field(default_factory=ProxyTimeouts)
    pass_headers: frozenset[bytes] = frozenset()
    pass_trailers: frozenset[bytes] = frozenset()
    least_connections: bool = False
    heeds_uptime_tests: bool = False
    preserve_host_header: bool = False


Mode = Literal["oauth_key", "basic_auth_user", "hmac_key", "jwt_claim", "oidc_user", "custom_auth", "auth_token"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a client puts what proves who it is. header: "" = in no header. param_name, cookie_name: "" = the header's name.

    strip: whether the upstream does not see it. use_certificate: it is the client's certificate, and all else does not count.
    """

    header: str = "Authorization"
    use_param: bool = False
    param_name: str = ""
    use_cookie: bool = False
    cookie_name: str = ""
    strip: bool = False
    use_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way of authentication that a definition asks for. is_base: its key is the one whose limits count."""

    places: Places
    is_base: bool = True


@dataclass(frozen=True, slots=True)
class EventHandler:
    """Who is told of an event. The fields after handler_name belong to a webhook, except `prefix`, which belongs to a log handler, and
    `script` (a file), which belongs with `name` to a handler in JavaScript.

    event_timeout: seconds for which the same event is not sent again, 0 = always sent. meta: the whole `handler_meta` as it was given.
    """

    handler_name: str
    id: str = ""
    name: str = ""
    org_id: str = ""
    method: str = "POST"
    target_path: str = ""
    template_path: str = ""
    header_map: tuple[tuple[str, str], ...] = ()
    event_timeout: int = 0
    prefix: str = ""
    script: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorOverride:
    """What replaces the status and the message of a refusal; None = the refusal's own."""

    status: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """One script of a definition.

    kind: where it runs. language: of the file. name: of the object or the function in it. path: of the file, "" for a blob. blob: the
    source as base64; Python without either is a function that an installed package registers by this name. with_session: whether it gets
    the session of the key. pointer: its place in the definition, for mistakes. is_found: whether it is not there, but in a folder.
    """

    kind: ScriptKind
    language: Language
    name: str
    path: str
    blob: str = ""
    with_session: bool = False
    pointer: str = field(default="", compare=False)
    is_found: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class ScriptSet:
    """What a definition says of its scripts: they share their globals, so they are loaded together.

    More may lie in folders that bear the id of the API (`scripts/folders.py`). language: of its files, None = its driver is not served.
    asks: whether `auth_check` is asked. config: what each of them gets as `config`.
    """

    api_id: str
    org_id: str
    scripts: tuple[Script, ...] = ()
    language: Language | None = "javascript"
    asks: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)

    def of(self, kind: ScriptKind) -> tuple[Script, ...]:
        """Return the scripts of a kind, in their order."""
        return tuple(script for script in self.scripts if script.kind == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One API.

    internal: only other APIs of the gateway may call it. ways: how a client proves who it is, all that it must pass; none when no key is
    asked for. specs: one for each middleware in the order of the chain, None = it is not used. raw: the JSON object that it came from,
    unknown fields included, and that is given back. unread: pointers and values of the fields that have no meaning here.
    expire_analytics_after: seconds, 0 = as the setting says.
    """

    id: str = ""
    name: str = ""
    api_id: str
    org_id: str = ""
    active: bool = True
    internal: bool = False
    domain: str = ""
    use_keyless: bool = False
    ways: Mapping[Mode, Way] = field(default_factory=dict)
    not_versioned: bool = False
    versions: Mapping[str, Version]
    proxy: Proxy
    do_not_track: bool = False
    dont_set_quota_on_create: bool = False
    enable_detailed_recording: bool = False
    expire_analytics_after: int = 0
    event_handlers: Mapping[str, tuple[EventHandler, ...]] = field(default_factory=dict)
    enable_batch_request_support: bool = False
    uptime_tests: tuple[UptimeTest, ...] = ()
    reaching: Reaching = field(default_factory=Reaching)
    error_template: Mapping[str, Any] | None = None
    error_overrides: Mapping[str, ErrorOverride] = field(default_factory=dict)
    scripts: ScriptSet
    error_rules: ErrorRules | None = None
    specs: tuple[Any, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[tuple[str, Any], ...] = ()

    def spec(self, kind: type[Spec]) -> Spec | None:
        """Return the spec of a middleware by its class; None when the definition does not use the middleware."""
        return next((spec for spec in self.specs if isinstance(spec, kind)), None)

    def unversioned(self) -> Version:
        """Return the version that serves a `not_versioned` definition: the one named `Default`, else the first (Tyk 3.1)."""
        return self.versions.get("Default") or next(iter(self.versions.values()))

    def in_use(self) -> tuple[Version, ...]:
        """Return the versions that serve requests."""
        return (self.unversioned(),) if self.not_versioned else tuple(self.versions.values())
