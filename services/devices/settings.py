"""Settings of the devices service: environment variables that begin with `DEVICES_`."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.common.addresses import Network
from services.common.identity import settings as identity
from services.common.sealing import parse_master_key
from services.common.settings import Bind, SettingsError, database_url, setting, sqlite_synchronous, valkey_url
from services.common.settings import load as load_settings

RateLimits = tuple[tuple[str, int], ...]
_LIMIT = re.compile(r"(GET|POST|PUT|DELETE) +(/[^\s=]*) *= *(\d{1,9})").fullmatch


@functools.lru_cache(maxsize=1024)
def plain(rule: str) -> str:
    """Write a route without the names of its variable parts: `/device/<>/data`."""
    return re.sub(r"<[^<>]*>", "<>", rule)


def parse_rate_limits(text: str) -> RateLimits:
    """`POST /data=250, GET /device/<id>/data=250`: requests a minute by route. Raises ValueError."""
    found = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        match = _LIMIT(part)
        if match is None or int(match[3]) < 1:
            raise ValueError(f"must be METHOD /path=REQUESTS, with at least one request a minute, not {part!r}")
        found[f"{match[1]} {plain(match[2])}"] = int(match[3])
    return tuple(found.items())


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    worker_class: ClassVar[str] = "services.devices.serving.Worker"  # gunicorn's

    bind: Bind = setting(Bind("127.0.0.1", 8104), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes; more than one wake each other only through VALKEY_URL.")
    requests: int = setting(64, minimum=16, maximum=1000, help="Requests one process answers at a time, besides live streams.")
    live_limit: int = setting(200, minimum=1, maximum=10_000, help="Live streams one process holds, each in a thread; above it 503.")
    account_limit: int = setting(100_000, minimum=1, maximum=10_000_000, help="Devices one account may have.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least severe log line that is written.")
    database_url: str = database_url("devices")
    sqlite_synchronous: str = sqlite_synchronous()
    valkey_url: str | None = valkey_url()
    auth_url: str = identity.url_setting()
    auth_issuer: str = identity.issuer_setting()
    auth_secret: str | None = identity.secret_setting()
    data: Path = setting(Path("var/devices"), help="Folder of generated secrets (each 0600).")
    master_key: str | None = setting(
        None,
        secret=True,
        parse=parse_master_key,
        help="Seals tokens with a serial number and the secrets of webhooks; 32 characters or more. Further lines are former"
        " keys, which only open. Unset: generated into `master.key` in the data folder.",
    )
    rate_limits: RateLimits = setting(
        (),
        parse=parse_rate_limits,
        help="Requests a minute of one token, by route: `POST /data=250, GET /device/<id>/data=250`. Unset: any number. With more than one"
        " process it needs VALKEY_URL.",
    )
    query_tokens: bool = setting(False, help="Take a token from the query string, too. It ends up in the logs of whatever stands between.")
    webhook_allow: tuple[Network, ...] = setting((), help="Private networks that the webhooks of actions may call; others are refused.")

    @property
    def threads(self) -> int:
        """Threads a process needs: one for each live stream, and those for the short requests."""
        return self.live_limit + self.requests


def load() -> Settings:
    """Read the settings of this process. Raises SettingsError with every mistake."""
    settings = load_settings(Settings, "DEVICES")
    if settings.rate_limits and settings.workers > 1 and settings.valkey_url is None:
        raise SettingsError(["DEVICES_WORKERS above 1 with DEVICES_RATE_LIMITS needs VALKEY_URL: limits could not be exact otherwise"])
    return settings
