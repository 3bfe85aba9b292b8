"""The secrets that sign the calls of actions: encrypted in the database, remembered for a few seconds."""

from __future__ import annotations

from typing import Final

from services.common.clock import Clock
from services.common.database import Database
from services.common.remembered import Remembered
from services.common.sealing import NotOpened
from services.common.webhooks.signing import CannotSign
from services.devices.actions import store
from services.devices.master_key import WEBHOOK, Seals

_KEPT_S: Final = 5.0


class Secrets:
    """Seals, opens and remembers secrets. Thread-safe."""

    def __init__(self, database: Database, seals: Seals, clock: Clock) -> None:
        self._database = database
        self._seals = seals
        self._clock = clock
        self._known: Remembered[str, tuple[float, str]] = Remembered()

    def seal(self, action_id: str, secret: str) -> str:
        """Encrypt the secret of an action, which it is bound to. Raises OSError for a key file that cannot be read or written."""
        return self._seals.get(WEBHOOK).seal(secret.encode(), action_id)

    def of(self, action_id: str) -> str:
        """Return the secret of an action. Raises CannotSign when there is no such action or its secret does not open, the store's error."""
        found = self._known.get(action_id)
        if found is None or found[0] <= self._clock.monotonic():
            found = self._known.keep(action_id, (self._clock.monotonic() + _KEPT_S, self._read(action_id)))
        return found[1]

    def forget(self, action_id: str) -> None:
        """Read the secret of an action again: it has changed. Another process does so within seconds."""
        self._known.pop(action_id, None)

    def _read(self, action_id: str) -> str:
        with self._database.read() as session:
            sealed = store.sealed(session, action_id)
        if sealed is None:
            raise CannotSign("the action is gone")
        try:
            return self._seals.get(WEBHOOK).open(sealed, action_id).decode()
        except (NotOpened, OSError):
            raise CannotSign("the action's secret cannot be opened; give it a new one") from None
