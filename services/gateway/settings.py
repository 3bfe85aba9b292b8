"""Settings of the gateway, from the environment (`GATEWAY_…`, and `VALKEY_URL`)."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from services.common.addresses import Network
from services.common.sealing import parse_master_key
from services.common.secret_file import secret_file
from services.common.settings import (
    Bind,
    SettingsError,
    database_url,
    setting,
    sqlite_synchronous,
    valkey_url,
)
from services.common.settings import load as load_settings

_ENV_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\*?")


def _env_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    wrong = [name for name in names if not _ENV_NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"must be names of environment variables, separated by commas, such as FRONTEND_URL,ORDERS_*; not `{wrong[0]}`")
    return names


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag for one in text.split(",") if (tag := one.strip()))


def _endpoint(value: str) -> str:
    """Read the URL of a collector. Raises ValueError, without what may be a password."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL such as http://127.0.0.1:4318")
    if "@" in url.netloc or url.query:
        raise ValueError("must not hold a password or a query; the header fields in OTEL_EXPORTER_OTLP_HEADERS are sent along")
    return value


def _proxy_url(text: str) -> str:
    """Check the URL of a forward proxy. Raises ValueError, which does not repeat it: it may hold a password."""
    try:
        url = urlsplit(text)
        sound = url.scheme == "http" and url.hostname and url.port != 0 and url.path in ("", "/") and not (url.query or url.fragment)
    except ValueError:
        sound = False
    if not sound or re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("must be http://HOST:PORT, perhaps with USER:PASSWORD@ before the host")
    return text


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; `load` checks them together."""

    proxy_bind: Bind = setting(Bind("0.0.0.0", 8080), help="Address of the public port, where clients' requests arrive.")  # noqa: S104
    operator_bind: Bind = setting(Bind("127.0.0.1", 8081), help="Address of the operator port: API, pages, health, metrics.")
    workers: int = setting(1, help="Worker processes; more than one needs VALKEY_URL.", minimum=1, maximum=256)
    database_url: str = database_url("gateway")
    sqlite_synchronous: str = sqlite_synchronous()
    valkey_url: str | None = valkey_url()
    valkey_prefix: str = setting("gatehouse", help="Begins every name in Valkey; gateways of one installation share it.")
    operator_key: str = setting("", help="The first operator key. Unset: made once and kept in the key file.", secret=True)
    operator_key_path: Path = setting(Path("var/gateway/operator.key"), help="Where a generated operator key is kept (mode 0600).")
    master_key: str | None = setting(
        None,
        secret=True,
        parse=parse_master_key,
        help="Seals secrets of webhooks and signatures; 32 characters or more, the same for all gateways of a database. "
        "Further lines are former keys, which only open. Unset: that of the key file.",
    )
    master_key_path: Path = setting(Path("var/gateway/master.key"), help="Where a generated master key is kept (mode 0600).")
    copy_folder: Path = setting(
        Path("var/gateway"),
        help="Folder of the copies that a start without the database goes by; SQLite: beside its file instead.",
    )
    definitions: Path = setting(Path("deploy/apis"), help="Folder of API definitions (*.json).")
    policies: Path | None = setting(None, help="File of policies (id → policy). Unset: `policies.json` beside the folder of definitions.")
    source: str = setting(
        "database",
        help="database: the folder and the file only seed, the operator API rules. files: they are the only truth.",
        choices=("database", "files"),
    )
    env_allow: tuple[str, ...] = setting(
        (), help="Further environment variables that definitions may name by env://, such as FRONTEND_URL,ORDERS_*.", parse=_env_names
    )
    secrets_path: Path | None = setting(None, help="Folder of the files that definitions may name by secrets:// and file://.")
    tags: tuple[str, ...] = setting(
        (), help="Tags of this gateway, separated by commas: it serves only definitions that have one of them. Unset: all.", parse=_tags
    )
    trusted_proxies: tuple[Network, ...] = setting((), help="Networks of the proxies whose X-Forwarded-For counts.")
    webhook_allow: tuple[Network, ...] = setting((), help="Private networks that webhooks may call; others are refused.")
    webhook_templates: Path = setting(Path("deploy/webhooks"), help="Folder of the templates that webhooks may name.")
    middleware_path: Path = setting(Path("deploy/middleware"), help="Folder of the scripts and templates that definitions may name.")
    script_timeout: float = setting(5.0, help="Seconds that a script of a definition may take.", minimum=0.1, maximum=60)
    script_allow: tuple[Network, ...] = setting((), help="Link-local networks that scripts may call; they may call all others.")
    oauth_token_lifetime: int = setting(3600, help="Seconds that an OAuth2 access token opens its API.", minimum=1, maximum=31_536_000)
    oauth_refresh_lifetime: int = setting(
        1_209_600, help="Seconds within which a refresh token is exchanged for another one.", minimum=1, maximum=315_360_000
    )
    tls_certificate: Path | None = setting(None, help="Certificate chain (PEM) of the public port; with it the port speaks TLS.")
    tls_key: Path | None = setting(None, help="Private key (PEM) of the certificate.")
    upstream_ca: Path | None = setting(None, help="Further certificate authorities (PEM) for https targets.")
    upstream_certificates: Path | None = setting(
        None, help="Folder of the certificates (NAME.pem, with their private keys) that definitions show to upstreams."
    )
    upstream_proxy: str | None = setting(
        None,
        secret=True,
        parse=_proxy_url,
        help="Forward proxy (http://USER:PASSWORD@HOST:PORT) to upstreams; loopback, private addresses and names without a dot are reached "
        "directly.",
    )
    uptime_wait: float = setting(
        10.0, help="Seconds between two uptime tests of a host by one worker; each worker tests.", minimum=0.1, maximum=86_400
    )
    uptime_failures: int = setting(
        3, help="Uptime tests in a row that must fail until a host is down, or succeed until it is up again.", minimum=1, maximum=1000
    )
    max_connections: int = setting(10_000, help="Client connections of one worker; above it new ones get 503.", minimum=1)
    max_connections_per_address: int = setting(
        2_000,
        help="Of these, connections of one client address; of a client behind a trusted proxy, requests under way.",
        minimum=1,
    )
    max_uploads_per_address: int = setting(
        64, help="Requests of one client address at a time in one worker whose body is streamed (larger than 64 KB, or chunked).", minimum=1
    )
    body_timeout: float = setting(600.0, help="Seconds that a request's body may take in all.", minimum=1, maximum=86_400)
    body_least_rate: int = setting(
        1024, help="Bytes a second that a request's body must bring on average, after its first ten seconds; 0 = any.", minimum=0
    )
    body_read_limit: int = setting(
        1_048_576,
        help="Bytes of a body that is read as a whole, where a definition validates or changes it; a larger one is refused there.",
        minimum=1024,
        maximum=16 * 1_048_576,
    )
    cache_bytes: int = setting(
        64 * 1_048_576,
        help="Bytes of answers that a worker keeps where a definition caches: in its memory, with VALKEY_URL in Valkey.",
        minimum=1_048_576,
    )
    keepalive_timeout: float = setting(75.0, help="Seconds an idle client connection is kept.", minimum=1, maximum=86_400)
    graceful_timeout: int = setting(75, help="Seconds that requests under way have to end when a worker stops.", minimum=0, maximum=86_400)
    analytics: str = setting(
        "off", help="on: a record of each request, for /api/activity; costs a worker about a third more CPU.", choices=("off", "on")
    )
    analytics_days: int = setting(
        90, help="Days that analytics are kept: records, and totals by hour, day and month.", minimum=1, maximum=36_500
    )
    audit_days: int = setting(365, help="Days that the audit of operators' calls is kept; 0 = for ever.", minimum=0, maximum=36_500)
    access_log: str = setting("-", help='Access log: a file, "-" for the standard output, "off" for none.')
    access_log_agent: bool = setting(False, help="Lines of the access log also have the referer, without its query, and the user agent.")
    compiled: str = setting(
        "auto",
        help="Whether the data plane runs as machine code. auto: where it was compiled from these sources; 0: never; 1: always, and no "
        "start without.",
        choices=("auto", "0", "1"),
    )
    tracing: str | None = setting(
        None,
        parse=_endpoint,
        help="Collector that gets traces in OTLP/HTTP, such as http://127.0.0.1:4318; needs requirements/tracing.txt. Unset: no traces.",
    )
    tracing_ratio: float = setting(
        0.01,
        help="Share of the requests without traceparent that are traced; for others their traceparent decides.",
        minimum=0,
        maximum=1,
    )

    @property
    def policies_file(self) -> Path:
        """Return the file of policies, which need not be there."""
        return self.policies or self.definitions.parent / "policies.json"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings, checked together. Raises SettingsError with every mistake."""
    settings = load_settings(Settings, "GATEWAY", environ)
    mistakes = []
    if settings.workers > 1 and settings.valkey_url is None:
        mistakes.append("GATEWAY_WORKERS above 1 needs VALKEY_URL: limits could not be exact otherwise")
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        mistakes.append("GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY go together; one is missing")
    for name in ("tls_certificate", "tls_key", "upstream_ca"):
        path: Path | None = getattr(settings, name)
        if path is not None and not os.access(path, os.R_OK):
            mistakes.append(f"GATEWAY_{name.upper()} ({path}) cannot be read")
    if settings.upstream_certificates is not None and not settings.upstream_certificates.is_dir():
        mistakes.append(f"GATEWAY_UPSTREAM_CERTIFICATES ({settings.upstream_certificates}) is not a folder")
    if settings.source == "files" and not settings.definitions.is_dir():
        mistakes.append(f"GATEWAY_DEFINITIONS ({settings.definitions}) is not a folder, and GATEWAY_SOURCE is files")
    if settings.tracing is not None and not _has_opentelemetry():
        mistakes.append("GATEWAY_TRACING needs OpenTelemetry, which is not installed: pip install -r requirements/tracing.txt")
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _has_opentelemetry() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None and find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


def load_with_key() -> Settings:
    """As `load`; the operator key is there afterwards. Raises SettingsError as `load` and `operator_key`."""
    settings = load()
    operator_key(settings)
    return settings


def operator_key(settings: Settings) -> str:
    """The operator key: the setting, or the one of the key file, which is made when it is not there.

    Raises SettingsError when the file cannot be made or read, or holds no key: nobody could call the operator API and know why.
    """
    return settings.operator_key or _key_of_file("GATEWAY_OPERATOR_KEY", settings.operator_key_path)


def master_key(settings: Settings, *, make: bool) -> str | None:
    """The key that seals secrets in the database: the setting, or the one of the key file.

    make: when there is no such file, it is made; otherwise None is given then. Raises SettingsError when the file cannot be made or read,
    or holds no key.
    """
    if settings.master_key is not None:
        return settings.master_key
    if not make and not settings.master_key_path.exists():
        return None
    key = _key_of_file("GATEWAY_MASTER_KEY", settings.master_key_path)
    try:
        return parse_master_key(key)
    except ValueError as error:
        raise SettingsError([f"GATEWAY_MASTER_KEY_PATH ({settings.master_key_path}) {error}"]) from None


def _key_of_file(setting: str, path: Path) -> str:
    """setting: the one that may hold the key itself."""
    try:
        key = secret_file(path, lambda: secrets.token_urlsafe(32))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{setting}_PATH ({path}): {getattr(error, 'strerror', None) or 'is not text'}"]) from None
    if not key:
        raise SettingsError([f"{setting}_PATH ({path}) is empty; delete it and a key is made, or set {setting}"])
    return key
