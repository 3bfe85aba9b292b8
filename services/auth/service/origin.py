"""Who does something and from where: what an audit line tells."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from services.auth.models import AuditLine, User
from services.auth.store.users import Person
from services.common import logging as logs

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """actor: a person's e-mail address, a client's name, or `anonymous`, `command line`, `start-up`. actor_id: of the person or client.

    address: where the request came from, without the proxies before it.
    """

    actor: str
    actor_id: str | None = None
    address: str | None = None
    request_id: str | None = None

    def acting(self, user: User | Person) -> Origin:
        """The same place, with the person now known."""
        return Origin(user.email, user.id, self.address, self.request_id)

    def write(self, session: Session, now: dt.datetime, action: str, target: str | None = None, **details: Any) -> None:
        """Add the audit line to the caller's transaction: it is kept exactly when the change is. No secret may be among the details."""
        session.add(
            AuditLine(
                at=now,
                action=action,
                actor_id=self.actor_id,
                actor=self.actor[:254],
                target=target[:254] if target else None,
                address=self.address[:45] if self.address else None,
                request_id=self.request_id,
                details=details,
            )
        )


COMMAND_LINE = Origin("command line")
STARTUP = Origin("start-up")
