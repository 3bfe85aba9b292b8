"""Where answers are kept: in process (`memory.py`) or in Valkey (`valkey.py`), one port for both; `factory.create` chooses."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from services.gateway.cache.answers import Kept

# Bytes of a body; a larger one is not kept.
LARGEST_BODY: Final = 1024 * 1024
# (what is kept, or None; a mark that `keep` wants back: what is purged meanwhile is not kept any more)
Found = tuple[Kept | None, Any]


class NotPurged(Exception):
    """What holds the answers cannot be reached."""


class AnswerStore(Protocol):
    """Answers by their API and name. hits, misses: requests that were answered from it, or not, from the start.

    names: 20 bytes, which only requests share that may share an answer.
    """

    hits: int
    misses: int

    @property
    def size(self) -> int:
        """Return about how many bytes this worker keeps."""

    def find(self, api_id: str, name: bytes) -> Found | Awaitable[Found]:
        """Find what has a name and has not ended. At once, or soon; (None, None) when it cannot be said."""

    def keep(self, api_id: str, name: bytes, kept: Kept, mark: Any) -> None:
        """Keep it until its end, or until there is no room. Does not wait. mark: of the `find` before the upstream was asked."""

    def forget(self, api_id: str, name: bytes) -> None:
        """Forget what has a name. Does not wait."""

    async def purge(self, api_id: str) -> None:
        """Forget all answers of an API, for all workers. Raises NotPurged."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
