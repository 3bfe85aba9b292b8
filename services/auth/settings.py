"""Settings of the auth service: environment variables that begin with `AUTH_`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from services.auth.credentials.rules import emails, passwords
from services.common.addresses import Network, parse_networks
from services.common.sealing import parse_master_key
from services.common.settings import Bind, database_url, parse_url, setting, sqlite_synchronous
from services.common.settings import load as load_settings

ServiceClients = tuple[tuple[str, str], ...]
SECRETS_OF_A_NAME = 2


def parse_service_clients(text: str) -> ServiceClients:
    """Read the credentials of the neighbours: `sessions=SECRET, devices=SECRET`; a name twice while its secret is changed.

    Raises ValueError; the message never repeats a secret.
    """
    found: list[tuple[str, str]] = []
    for number, part in enumerate((one for one in re.split(r"[\s,]+", text.strip()) if one), 1):
        name, _, secret = part.partition("=")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
            raise ValueError(f"must be name=secret pairs; pair {number} has no proper name (lower-case letters, digits, -)")
        if len(secret) < 24:
            raise ValueError(f"must hold secrets of 24 characters or more; that of {name} is shorter")
        if sum(name == known for known, _ in found) == SECRETS_OF_A_NAME:
            raise ValueError(f"names {name} more than {SECRETS_OF_A_NAME} times")
        found.append((name, secret))
    return tuple(found)


def parse_admin_email(text: str) -> str:
    """Read the e-mail address of the first administrator. Raises ValueError."""
    try:
        emails.parse(text)
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None
    return text


def parse_admin_password(text: str) -> str:
    """Read the password of the first administrator. Raises ValueError for a forbidden one; the message never repeats it."""
    problem = passwords.problem(text)
    if problem:
        raise ValueError(f"cannot be used: {problem}")
    return text


def _issuer(text: str) -> str:
    parse_url("http", "https")(text)
    if text.endswith("/") or "?" in text or "#" in text:
        raise ValueError("must have no final slash, no ? and no #")
    return text


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    bind: Bind = setting(Bind("127.0.0.1", 8101), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes.")
    threads: int = setting(96, minimum=12, maximum=1000, help="Requests one process serves at a time.")
    database_url: str = database_url("auth")
    sqlite_synchronous: str = sqlite_synchronous()
    url: str = setting(
        "http://127.0.0.1:8101", help="Where the other services reach this one; they read it.", parse=parse_url("http", "https")
    )
    issuer: str = setting(
        "http://127.0.0.1:8080/auth",
        help="Public address, as browsers and OAuth2 clients see it; `iss` of the tokens, so keep it once tokens are out.",
        parse=_issuer,
    )
    audience: str = setting("gatehouse", help="`aud` of the tokens.")
    data: Path = setting(Path("var/auth"), help="Folder of generated secrets (each 0600).")
    master_key: str | None = setting(
        None,
        secret=True,
        parse=parse_master_key,
        help="Seals the private signing keys; 32 characters or more. Further lines are former keys, which only open. Unset: generated"
        " into `master.key` in the data folder.",
    )
    admin_email: str = setting(
        "admin@gatehouse.local", parse=parse_admin_email, help="The first administrator, made when there is no user."
    )
    admin_password: str | None = setting(
        None,
        secret=True,
        parse=parse_admin_password,
        help="Password of the first administrator. Unset: generated into `admin.password` in the data folder.",
    )
    service_clients: ServiceClients = setting(
        (),
        secret=True,
        parse=parse_service_clients,
        help="Credentials of the neighbours that may ask `/verify/*`: `name=secret, …`. A name may have two secrets; both are valid.",
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
    access_token_s: int = setting(900, minimum=60, maximum=3600, help="Lifetime of a user's access JWT, in seconds.")
    refresh_token_days: int = setting(30, minimum=1, maximum=365, help="Lifetime of a sign-in through its refresh tokens, in days.")
    browser_session_hours: int = setting(12, minimum=1, maximum=720, help="Lifetime of a sign-in on the pages, in hours.")
    argon2_memory_kib: int = setting(19_456, minimum=8192, maximum=4_194_304, help="Memory of one password check, in KiB.")
    argon2_passes: int = setting(2, minimum=1, maximum=50, help="Passes of one password check.")
    hashers: int = setting(0, minimum=0, maximum=64, help="Password checks at the same time; the others queue. 0: half the processors.")
    hash_queue: int = setting(
        64, minimum=1, maximum=900, help="Password checks that may queue; above it 503. Eight threads are always left for other requests."
    )
    audit_days: int = setting(400, minimum=1, maximum=36_500, help="Days that audit lines are kept.")
    git_sha: str = setting("unknown", env="GIT_SHA", help="The commit this process was built from, shown by GET /.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least level that is logged.")

    @property
    def hash_slots(self) -> int:
        """Return how many passwords are checked at the same time."""
        return self.hashers or max(1, (os.cpu_count() or 2) // 2)

    @property
    def hash_waiting(self) -> int:
        """Return how many password checks may queue."""
        return max(1, min(self.hash_queue, self.threads - self.hash_slots - 8))


def load() -> Settings:
    """Return the settings of this process. Raises SettingsError with every mistake."""
    return load_settings(Settings, "AUTH")
