"""Settings of the tokens service: environment variables that begin with `TOKENS_`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from services.common.identity import settings as identity
from services.common.settings import Bind, database_url, setting, sqlite_synchronous, valkey_url
from services.common.settings import load as load_settings

SUBJECTS = ("public", "exhibition", "generator", "admin")


CutOffs = tuple[tuple[str, dt.datetime], ...]


def parse_cut_offs(text: str) -> CutOffs:
    """`exhibition=2026-01-01T00:00:00Z, generator=…`: the earliest issue time by subject. Raises ValueError."""
    found = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        subject, _, moment = part.partition("=")
        if subject not in SUBJECTS:
            raise ValueError(f"must name subjects among {', '.join(SUBJECTS)}, not {subject!r}")
        try:
            parsed = dt.datetime.fromisoformat(moment)
        except ValueError:
            raise ValueError(f"must be subject=ISO time, not {part!r}") from None
        found[subject] = parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    return tuple(found.items())


@dataclass(frozen=True)
class Settings:
    """What an operator may choose."""

    bind: Bind = setting(Bind("127.0.0.1", 8103), help="Address to listen on.")
    workers: int = setting(1, minimum=1, maximum=64, help="Processes; more than one wake each other only through VALKEY_URL.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least severe log line that is written.")
    git_sha: str = setting("unknown", env="GIT_SHA", help="The commit this process was built from, shown by GET /.")
    database_url: str = database_url("tokens")
    sqlite_synchronous: str = sqlite_synchronous()
    valkey_url: str | None = valkey_url()
    auth_url: str = identity.url_setting()
    auth_issuer: str = identity.issuer_setting()
    auth_secret: str | None = identity.secret_setting()
    jwt_secret: str | None = setting(
        None, secret=True, help="Also accept role tokens signed by HS256 with this secret (role tokens printed long ago)."
    )
    earliest_issue: CutOffs = setting(
        (), help="Refuse role tokens issued earlier: `exhibition=2026-01-01T00:00:00Z, …`.", parse=parse_cut_offs
    )
    queue_limit: int = setting(6, minimum=1, maximum=10_000, help="Interactions in the queue; above it a request is refused with 423.")
    deposit_limit: bool = setting(False, help="Refuse a deposit, too, when the queue is full; otherwise who was let in may deposit.")
    polls_limit: int = setting(1000, minimum=1, maximum=10_000, help="Long polls and streams one process holds; above it 503.")
    png_cache: Path = setting(Path("var/tokens/png"), help="Folder of rendered PNGs; may be emptied at any time.")
    png_cache_mb: int = setting(256, minimum=1, maximum=1_000_000, help="Size that the folder of PNGs is kept below, in megabytes.")
    render_seconds: float = setting(10.0, minimum=0.1, maximum=60, help="Time one PNG may take.")
    render_memory_mb: int = setting(512, minimum=128, maximum=8192, help="Address space of the process that renders one PNG, in megabytes.")
    renders: int = setting(2, minimum=1, maximum=64, help="PNGs rendered at the same time.")

    @property
    def threads(self) -> int:
        """Threads a process needs: one for each held poll, and some for the short requests."""
        return self.polls_limit + 32


def load() -> Settings:
    """Read the settings of this process. Raises SettingsError with every mistake."""
    return load_settings(Settings, "TOKENS")
