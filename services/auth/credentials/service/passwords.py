"""New passwords: by the person, who proves the current one, or by an administrator. A new one ends what the old one began."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import PASSWORD, Caller
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import passwords
from services.auth.credentials.service import own_account
from services.auth.credentials.service.hashing import Hasher
from services.auth.credentials.service.throttle import Throttle
from services.auth.credentials.service.turns import FAMILIAR
from services.auth.credentials.store import accounts, failures, grants
from services.auth.models import User
from services.common.clock import Clock
from services.common.database import Database


class Passwords:
    """Changes of passwords. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, hasher: Hasher, throttle: Throttle) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._throttle = throttle

    def change_own(self, caller: Caller, current: str, new: str, origin: Origin) -> None:
        """Change one's own password; ends all sign-ins but this page. Raises Refusal 401, 422, 429, 503.

        The current password itself is needed: a login key is not enough.
        """
        email = caller.user.email
        checked = self._hasher.check(
            caller.user.password_hash,
            current,
            rank=FAMILIAR,
            holders=[caller.sign_in],
            before=lambda: self._throttle.check_own(caller.sign_in),
            wrong=lambda: self._database.run(lambda session: self._throttle.failed_own(session, caller.sign_in)),
        )
        if not checked.right:
            raise refusals.wrong_current_password()
        stays = caller.session if caller.method == PASSWORD else None
        if passwords.normalise(current) == passwords.normalise(new):
            raise refusals.invalid_fields(new_password="Is the current password.")  # noqa: S106  a message
        self.put(email, new, origin, lambda session: own_account.locked_as_let_in(session, caller), stays)

    def put(self, email: str, new: str, origin: Origin, find: Callable[[Session], User], besides_session: str | None = None) -> None:
        """Give a user a new password; ends all sign-ins and the login key. Raises Refusal 422, 503, and what `find` raises.

        find: returns the user's row, locked. It checks again whether the caller may, because hashing takes a while.
        besides_session: digest of the browser session that goes on.
        """
        problem = passwords.problem(new, email)
        if problem:
            raise refusals.invalid_fields(new_password=problem)
        hashed = self._hasher.hash(new)

        def work(session: Session) -> None:
            now = self._clock.now()
            kept = find(session)
            kept.password_hash = hashed
            kept.version += 1
            accounts.drop_login_key(session, kept.id)
            failures.forget_places_of(session, kept.id)
            grants.end_all(session, kept.id, now, besides_session=besides_session)
            audit.write(session, origin, now, "password.change", kept.id)

        self._database.run(work)
