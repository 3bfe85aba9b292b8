"""How many sessions and clients there may be. Pure."""

from __future__ import annotations

from typing import Final, Literal

MOST_CLIENTS: Final = 2_000  # of a session
MOST_SAVES: Final = 100  # of a project
LARGEST_ID: Final = 2**31 - 1  # of a session: its token has 8 hexadecimal digits for it
_NEARLY_FULL: Final = 0.9
_FAIR: Final = 2  # sessions that a domain may have in any case while the server is nearly full


def refuses(limit: int, running: int, of_domain: int) -> Literal["full", "fair use"] | None:
    """Say why no further session of a domain may start; None when it may. limit: of all domains together."""
    if running >= limit:
        return "full"
    return "fair use" if running >= limit * _NEARLY_FULL and of_domain >= _FAIR else None
