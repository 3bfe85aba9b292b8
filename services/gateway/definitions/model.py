"""An API definition after `schema.parse`: frozen, whole, every value checked. Nothing here knows JSON, sockets or stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.common.addresses import Network

Location = Literal["header", "url-param", "url"]
Matching = Literal["search", "prefix", "exact"]
Action = Literal["no_action", "reply"]
LimitedBy = Literal["api", "address"]
LOCATIONS: Final[tuple[Location, ...]] = ("header", "url-param", "url")
MATCHINGS: Final[tuple[Matching, ...]] = ("search", "prefix", "exact")
ACTIONS: Final[tuple[Action, ...]] = ("no_action", "reply")
LIMITED_BY: Final[tuple[LimitedBy, ...]] = ("api", "address")

WEBHOOK: Final = "eh_web_hook_handler"
LOG: Final = "eh_log_handler"


@dataclass(frozen=True, slots=True)
class MethodAction:
    """What an entry of an extended path list does for one method. code, data and headers count for `reply` only."""

    action: Action
    code: int
    data: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A line of a path list. method_actions None = every method, as in the legacy lists; empty = no method."""

    path: str
    method_actions: Mapping[str, MethodAction] | None = None
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class PathLists:
    """The lists in use (legacy or extended), in the order in which they are tried."""

    ignored: tuple[PathEntry, ...] = ()
    black: tuple[PathEntry, ...] = ()
    white: tuple[PathEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class HardTimeout:
    """Seconds that an upstream may take for the answer to one endpoint. method "" = every method."""

    path: str
    method: str
    timeout: float


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """Bytes that a body sent to one endpoint may have. method "" = every method."""

    path: str
    method: str
    limit: int


@dataclass(frozen=True, slots=True)
class Version:
    """expires: epoch seconds, None = never. global_size_limit: bytes, 0 = none. ignore_endpoint_case: of all its patterns."""

    name: str
    expires: float | None = None
    path_matching: Matching = "search"
    ignore_endpoint_case: bool = False
    lists: PathLists = field(default_factory=PathLists)
    hard_timeouts: tuple[HardTimeout, ...] = ()
    size_limits: tuple[SizeLimit, ...] = ()
    global_size_limit: int = 0


@dataclass(frozen=True, slots=True)
class Auth:
    """Where a key is looked for. auth_header_name "" = in no header. param_name and cookie_name: the header's unless given, as in Tyk."""

    auth_header_name: str = "Authorization"
    use_param: bool = False
    param_name: str = ""
    use_cookie: bool = False
    cookie_name: str = ""
    strip_auth_data: bool = False


@dataclass(frozen=True, slots=True)
class GlobalRateLimit:
    """`rate` requests in `per` seconds, for the whole API or for each client address."""

    rate: int
    per: float
    by: LimitedBy = "api"


@dataclass(frozen=True, slots=True)
class ProxyTimeouts:
    """Seconds: to connect, until the first byte of the answer, between two bytes of it."""

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """One upstream. path: "" or "/base" without a trailing slash; host in its ASCII form, IPv6 without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    query: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """listen_path in its one form: leading and trailing slash, "/" for the root, `{name}` for any one segment.

    pass_headers, pass_trailers: names, in lower case, that go on although others of their kind do not.
    """

    listen_path: str
    targets: tuple[TargetUrl, ...]
    strip_listen_path: bool
    timeouts: ProxyTimeouts = field(default_factory=ProxyTimeouts)
    pass_headers: frozenset[bytes] = frozenset()
    pass_trailers: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class EventHandler:
    """Who hears of an event. The fields after handler_name are a webhook's, but for `prefix`, which is a log handler's.

    event_timeout: seconds for which the same event is not sent again, 0 = always sent. meta: everything that was given.
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
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorOverride:
    """What replaces the status and the message of a refusal; None = as it is."""

    status: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One API. raw: the JSON object it came from, unknown fields included; it is what goes out again. unread: pointers and values of its
    fields that mean nothing here.
    """

    id: str = ""
    name: str = ""
    api_id: str
    org_id: str = ""
    active: bool = True
    domain: str = ""
    use_keyless: bool = False
    auth: Auth = field(default_factory=Auth)
    version_location: Location = "header"
    version_key: str = ""
    strip_version: bool = False
    not_versioned: bool = False
    default_version: str = ""
    fallback_to_default: bool = False
    versions: Mapping[str, Version]
    proxy: Proxy
    disable_rate_limit: bool = False
    disable_quota: bool = False
    session_lifetime: int = 0
    dont_set_quota_on_create: bool = False
    expire_analytics_after: int = 0
    event_handlers: Mapping[str, tuple[EventHandler, ...]] = field(default_factory=dict)
    enable_batch_request_support: bool = False
    allowed_ips: tuple[Network, ...] | None = None  # None = the list is switched off
    blacklisted_ips: tuple[Network, ...] = ()
    global_rate_limit: GlobalRateLimit | None = None
    error_template: Mapping[str, Any] | None = None
    error_overrides: Mapping[str, ErrorOverride] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[tuple[str, Any], ...] = ()

    def unversioned(self) -> Version:
        """The version that serves a `not_versioned` definition: the one named `Default`, else the first (Tyk 3.1)."""
        return self.versions.get("Default") or next(iter(self.versions.values()))
