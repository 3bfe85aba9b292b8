"""The place of an API: the host and the listen path that only one active definition may own."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ANY_SEGMENT: Final = "{}"
_NAMED: Final = re.compile(r"/\{[^/{}]*\}(?=/)")


class Place(NamedTuple):
    """domain: "" = every host. path: a listen path whose `{name}` segments have lost their names, which make no difference."""

    domain: str
    path: str

    def __str__(self) -> str:
        return self.domain + self.path


def place_of(domain: str, listen_path: str) -> Place:
    """Return the place of an API. listen_path: in its one form."""
    return Place(domain, _NAMED.sub(f"/{ANY_SEGMENT}", listen_path) if "{" in listen_path else listen_path)
