"""Keys that are derived from the service's master key: of session tokens, of the tokens in forms."""

from __future__ import annotations

import functools
import hmac
from typing import Final

from services.common.sealing import keys_of, master_key_file
from services.sessions.settings import Settings

FILE: Final = "master.key"


class Keys:
    """One key for each purpose; the master key is read, or drawn and written, when the first one is needed. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def derive(self, purpose: str, text: str) -> list[bytes]:
        """Return 32 bytes that only the holder of the master key can derive; then those of each former key, its further lines.

        purpose: fixed text, such as `session token`. Raises OSError for a key file that cannot be used.
        """
        return [hmac.digest(key, f"{purpose}\0{text}".encode(), "sha256") for key in self._master_keys]

    @functools.cached_property
    def _master_keys(self) -> list[bytes]:
        text = self._settings.master_key or master_key_file(self._settings.data / FILE)
        return [key.encode() for key in keys_of(text)]
