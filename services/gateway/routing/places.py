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

    def takes_from(self, other: Place) -> bool:
        """Whether an API here would get requests that belong to an API at `other`: longest path first, a host before none.

        What has neither a host nor a path of its own (`/` on every host) is there for what is left, and nothing is taken from it.
        """
        if other.domain not in ("", self.domain) or other == ("", "/"):
            return False
        own, theirs = self.path.strip("/").split("/"), other.path.strip("/").split("/")
        if theirs == [""]:
            return True
        return len(own) >= len(theirs) and all(a == b or ANY_SEGMENT in (a, b) for a, b in zip(own, theirs, strict=False))


def place_of(domain: str, listen_path: str) -> Place:
    """Return the place of an API. listen_path: in its one form."""
    return Place(domain, _NAMED.sub(f"/{ANY_SEGMENT}", listen_path) if "{" in listen_path else listen_path)
