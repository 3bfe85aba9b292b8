"""Settings of the sessions service: environment variables that begin with `SESSIONS_`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.common.addresses import Network, parse_networks
from services.common.identity import settings as identity
from services.common.sealing import parse_master_key
from services.common.settings import Bind, database_url, setting, sqlite_synchronous, valkey_url
from services.common.settings import load as load_settings

SEED, MODERN = "seed", "modern"


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    worker_class: ClassVar[str] = "services.sessions.serving.Worker"  # gunicorn's

    bind: Bind = setting(Bind("127.0.0.1", 8102), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes; more than one wake each other only through VALKEY_URL.")
    requests: int = setting(32, minimum=8, maximum=1000, help="Requests one process answers at a time, besides long polls.")
    polls_limit: int = setting(1000, minimum=1, maximum=10_000, help="Long polls and streams one process holds; above it 503.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least severe log line that is written.")
    database_url: str = database_url("sessions")
    sqlite_synchronous: str = sqlite_synchronous()
    valkey_url: str | None = valkey_url()
    auth_url: str = identity.url_setting()
    auth_issuer: str = identity.issuer_setting()
    auth_secret: str | None = identity.secret_setting()
    data: Path = setting(Path("var/sessions"), help="Folder of generated secrets (each 0600).")
    master_key: str | None = setting(
        None,
        secret=True,
        parse=parse_master_key,
        help="Session tokens and the tokens in forms are derived from it; 32 characters or more. A new one ends all session tokens."
        " Further lines are former keys, whose tokens are still good. Unset: generated into `master.key` in the data folder.",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        parse_networks("127.0.0.0/8, ::1"),
        help="Who hands requests to this service (the gateway): whose X-Forwarded-For, -Host, -Proto and -Prefix count.",
    )
    gateway_proxies: tuple[Network, ...] = setting(
        (),
        env="GATEWAY_TRUSTED_PROXIES",
        help="The proxies before the gateway, as the gateway has them: addresses that are not a client's.",
    )
    strict_status: str = setting(
        SEED,
        choices=(SEED, MODERN),
        help="Status of missing rights and bad tokens: `seed`, 400 as the original documents; `modern`, 403, 401, 404 and 410.",
    )
    timeout: int = setting(900, minimum=10, maximum=86_400, help="Seconds without a known client's request after which a session ends.")
    limit: int = setting(100, minimum=1, maximum=100_000, help="Sessions that may run at a time; above it 503.")

    @property
    def threads(self) -> int:
        """Threads a process needs at most: one for each stream or poll that is not plain, and those for the short requests."""
        return self.polls_limit + self.requests


def load() -> Settings:
    """Read the settings of this process. Raises SettingsError with every mistake."""
    return load_settings(Settings, "SESSIONS")
