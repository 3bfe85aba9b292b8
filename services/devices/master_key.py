"""The master key of the service: it seals device tokens that have a serial number, and the secrets of webhooks."""

from __future__ import annotations

from typing import Final

from services.common.sealing import Seal, master_key_file
from services.devices.settings import Settings

FILE: Final = "master.key"
TOKEN, CODE, WEBHOOK = "serial", "verification-code", "webhook"  # what seals are for


class Seals:
    """One seal for each purpose; the key is read, or drawn and written, when the first one is needed. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Seal] = {}

    def get(self, purpose: str) -> Seal:
        """Return the seal of a purpose, such as TOKEN. Raises OSError for a key file that cannot be read or written."""
        found = self._made.get(purpose)
        if found is None:
            key = self._settings.master_key or master_key_file(self._settings.data / FILE)
            found = self._made.setdefault(purpose, Seal(purpose, key))
        return found
