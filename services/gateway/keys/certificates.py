"""The certificates of clients in memory: all of them, because a removed one must not open anything any more, on open connections neither.

When they could not be read yet, because the database is away at the start, nobody is let in who needs one.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Collection, Mapping, Set
from typing import Final, Protocol

from services.gateway.refusals import CERTIFICATES_UNAVAILABLE, Refusal

# Characters of a SHA-256 in hexadecimal digits, at the end of an id.
FINGERPRINT: Final = 64
_RETRY: Final = ((b"Retry-After", b"1"),)


class Store(Protocol):
    """Each raises the store's error when it is away."""

    def generation(self) -> int: ...
    def all(self) -> tuple[int, Mapping[str, str]]: ...


class Asking(Protocol):
    """The TLS that asks clients for their certificates (DER)."""

    def trust(self, trusted: Collection[bytes]) -> None: ...
    def refresh(self) -> None: ...


class CertificateFinder(Protocol):
    """Knows which certificates are stored, by their ids. Neither call blocks."""

    def holds(self, id: str) -> bool: ...

    def check_loaded(self) -> None:
        """Raise Refusal when the certificates could not be read yet: then clients were not asked for theirs."""


class Certificates:
    """One for each worker. Thread-safe; `holds` never blocks.

    tls: asks clients for them; None = the public port does not speak TLS.
    """

    def __init__(self, store: Store, tls: Asking | None) -> None:
        self._store = store
        self._tls = tls
        self._lock = threading.Lock()
        self._generation = -1
        self._ids: Set[str] = frozenset()

    def holds(self, id: str) -> bool:
        """Whether a certificate is stored now."""
        return id in self._ids

    def check_loaded(self) -> None:
        """Raise Refusal when the certificates could not be read yet."""
        if self._generation < 0:
            raise Refusal(CERTIFICATES_UNAVAILABLE, headers=_RETRY)

    def look(self) -> None:
        """Load what changed, whoever changed it. Blocks; raises the store's error."""
        if self._tls is not None:
            self._tls.refresh()
        if self._store.generation() == self._generation:
            return
        with self._lock:
            generation, stored = self._store.all()
            self._ids = frozenset(stored)
            if self._tls is not None:
                self._tls.trust([ssl.PEM_cert_to_DER_cert(pem) for pem in stored.values()])
            self._generation = generation
