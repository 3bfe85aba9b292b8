"""The frame of every write to a layer: one transaction, in which the layer is found, the caller is judged, and the session is renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from services.common.database import Database
from services.common.refusal import Refusal
from services.common.store_guard import ANSWER_S
from services.mobility import access, refusals
from services.mobility.access import Caller
from services.mobility.layers import store
from services.mobility.models import Layer
from services.mobility.sessions.service import Sessions

R = TypeVar("R")


class Writing:
    """Opens the transactions of writes. Thread-safe."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions

    def run(
        self,
        name: str,
        who: Callable[[], Caller],
        work: Callable[[Session, Layer], R],
        *,
        before: Callable[[], None] | None = None,
        patience_s: float = ANSWER_S,
    ) -> R:
        """Do work on a layer that the caller may write, in one transaction; all of it or nothing.

        who: says who writes, asked once there is such a layer, as in the original. work: may run twice. before: reads the request, once the
        caller was found to be the owner and before the transaction, which should be short. patience_s: as `Database.run`. A write that is
        refused after the caller was found to be the owner renews its session all the same, as in the original. Raises Refusal 401, 403,
        404, and what `work` and `before` raise.
        """
        with self._database.read() as session:
            layer = store.find(session, name)
        if layer is None:
            raise refusals.invalid_layer_spec(name)
        caller = who()
        if not access.may_write(caller, layer.owner_id):
            raise refusals.not_authorized_for_layer(name)

        def write(session: Session) -> R:
            found = store.hold(session, name)
            if found is None:  # deleted meanwhile
                raise refusals.invalid_layer_spec(name)
            if not access.may_write(caller, found.owner_id):  # and another one has taken the name
                raise refusals.not_authorized_for_layer(name)
            done = work(session, found)
            self._sessions.renew(session, caller)  # last: the row is locked until the transaction ends
            return done

        try:
            if before is not None:
                before()
            return self._database.run(write, patience_s=patience_s)
        except Refusal:
            self.renew(caller)
            raise

    def renew(self, caller: Caller) -> None:
        """Let the caller's session live for another minute."""
        self._database.run(lambda session: self._sessions.renew(session, caller))
