"""Settings of the devices service: environment variables that begin with `DEVICES_`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.common.identity import settings as identity
from services.common.sealing import parse_master_key
from services.common.settings import Bind, database_url, setting, sqlite_synchronous, valkey_url
from services.common.settings import load as load_settings


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    bind: Bind = setting(Bind("127.0.0.1", 8104), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes; more than one wake each other only through VALKEY_URL.")
    threads: int = setting(64, minimum=16, maximum=1000, help="Requests one process serves at a time, live streams among them.")
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
        help="Seals tokens with a serial number and the secrets of webhooks; 32 characters or more. Unset: generated into `master.key`"
        " in the data folder.",
    )
    query_tokens: bool = setting(False, help="Take a token from the query string, too. It ends up in the logs of whatever stands between.")


def load() -> Settings:
    """Read the settings of this process. Raises SettingsError with every mistake."""
    return load_settings(Settings, "DEVICES")
