"""Keys that are derived from the service's master key: of session tokens, of the tokens in forms."""

from __future__ import annotations

import functools
import hmac
import secrets
from typing import Final

from services.common.secret_file import secret_file
from services.sessions.settings import Settings

FILE: Final = "master.key"


class Keys:
    """One key for each purpose; the master key is read, or drawn and written, when the first one is needed. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def derive(self, purpose: str, text: str) -> bytes:
        """Return 32 bytes that only the holder of the master key can derive. purpose: fixed text, such as `session token`.

        Raises OSError for a key file that cannot be read or written.
        """
        return hmac.digest(self._master_key, f"{purpose}\0{text}".encode(), "sha256")

    @functools.cached_property
    def _master_key(self) -> bytes:
        key = self._settings.master_key or secret_file(self._settings.data / FILE, lambda: secrets.token_hex(32))
        return key.encode()
