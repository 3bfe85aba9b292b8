"""Settings of the mobility service: environment variables that begin with `MOBILITY_`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.common.addresses import Network, parse_networks
from services.common.identity import settings as identity
from services.common.settings import Bind, database_url, setting, sqlite_synchronous
from services.common.settings import load as load_settings

LOOPBACK, ALWAYS, NEVER = "loopback", "always", "never"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?").fullmatch  # what a Content-Security-Policy can name
_IN_A_URL = re.compile(r"[!#-&(-;=?-Z_a-z~{}]+").fullmatch  # no space, quote or backslash


def parse_tiles(text: str) -> str:
    """Read the address of tiles, with the places of zoom, column and row. Raises ValueError."""
    try:
        scheme, host, *_ = parts = urlsplit(text)
        port = parts.port  # one above 65535 is an error
    except ValueError:
        scheme = host = ""
        port = None
    if scheme not in ("http", "https") or port == 0 or not _HOST(host) or not _IN_A_URL(text):
        raise ValueError("must be a URL that begins with http:// or https://, without a user and without placeholders in the host")
    if sorted(re.findall(r"\{[^{}]*\}", text)) != ["{x}", "{y}", "{z}"] or text.count("{") != 3 or text.count("}") != 3:
        raise ValueError("must have the placeholders {z}, {x} and {y}, each once, and no others")
    return text


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    bind: Bind = setting(Bind("127.0.0.1", 8105), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes.")
    requests: int = setting(32, minimum=8, maximum=1000, help="Requests one process answers at a time.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least severe log line that is written.")
    database_url: str = database_url("mobility")
    sqlite_synchronous: str = sqlite_synchronous()
    auth_url: str = identity.url_setting()
    auth_issuer: str = identity.issuer_setting()
    auth_secret: str | None = identity.secret_setting()
    admin_email: str = setting(
        "admin@gatehouse.local",
        env="AUTH_ADMIN_EMAIL",
        help="Shown as the owner of osm, gtfs and admr, which super users write.",
    )
    plain_login: str = setting(
        LOOPBACK,
        choices=(LOOPBACK, ALWAYS, NEVER),
        help="Who may ask for a session key over plain HTTP: `loopback`, clients on this machine; `always`, all; `never`, nobody.",
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
    tiles_url: str = setting(
        "",
        help="Tiles of the map page, such as `https://tiles.example/{z}/{x}/{y}.png`. Unset: a plain background.",
        parse=parse_tiles,
    )
    tiles_credit: str = setting("", help="Text beside those tiles that names their source. An address in it becomes a link.")

    @property
    def threads(self) -> int:
        """Threads a process needs: one for each request."""
        return self.requests


def load() -> Settings:
    """Read the settings of this process. Raises SettingsError with every mistake."""
    return load_settings(Settings, "MOBILITY")
