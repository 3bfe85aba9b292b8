"""Users: who may see and change whom, and what a change ends."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import levels, refusals
from services.auth.access import Caller, administered_domain, may_give, may_take_email, require_password
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import emails, passwords
from services.auth.credentials.service import own_account
from services.auth.credentials.service.hashing import Hasher
from services.auth.credentials.service.passwords import Passwords
from services.auth.credentials.store import accounts, grants
from services.auth.models import User
from services.auth.people import store
from services.auth.people.rules import Filter
from services.common.clock import Clock
from services.common.database import Database

OWN_FIELDS = ("full_name", "email")


def read_email(text: str) -> emails.Email:
    """Read an e-mail address. Raises Refusal 422."""
    try:
        return emails.parse(text)
    except ValueError as error:
        raise refusals.invalid_fields(email=str(error)) from None


class People:
    """Users. Thread-safe. Every change is audited in its own transaction."""

    def __init__(self, database: Database, clock: Clock, hasher: Hasher, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._passwords = passwords

    def any(self) -> bool:
        """Say whether there is a user."""
        with self._database.read() as session:
            return store.any_user(session)

    def by_email(self, email: str) -> User | None:
        """Return the user who logs in with this address."""
        with self._database.read() as session:
            return accounts.by_email_key(session, emails.key_of(email) or "")

    def page(self, caller: Caller, wanted: Filter, page: int, per_page: int) -> tuple[list[User], int]:
        """Return one page of the users that the caller administers, and how many there are in all. Raises Refusal 403."""
        scope = administered_domain(caller)
        if scope is not None:
            if wanted.domain not in (None, scope):
                return [], 0
            wanted = Filter(scope, wanted.level, wanted.active, wanted.text)
        with self._database.read() as session:
            return store.page(session, wanted, page, per_page)

    def get(self, caller: Caller, user_id: str) -> User:
        """Return a user that the caller administers. Raises Refusal 403, 404 (also for a user of another domain)."""
        with self._database.read() as session:
            return self._visible(session, caller, user_id)

    def add(self, caller: Caller | None, fields: Mapping[str, Any], origin: Origin) -> User:
        """Add a user. caller: None for the command line, which may do everything. Raises Refusal 403, 409, 422.

        Not by a login key: its holder would still know a password after the key has ended.
        """
        require_password(caller)
        email = read_email(fields["email"])
        scope = administered_domain(caller)
        domain = fields.get("domain") or (caller.user.domain if caller else None)
        level = fields.get("level", levels.JOIN_ONLY)
        if not domain:
            raise refusals.invalid_fields(domain="Missing data for required field.")
        if scope is not None and domain != scope:
            raise refusals.not_allowed("SUPER_USER for another domain")
        may_give(caller, level)
        problem = passwords.problem(fields["password"], email.shown)
        if problem:
            raise refusals.invalid_fields(password=problem)
        with self._database.read() as session:
            if store.taken(session, email.key, email.skeleton):
                raise refusals.email_taken()
        hashed = self._hasher.hash(fields["password"])

        def work(session: Session) -> User:
            now = self._clock.now()
            if store.domain(session, domain) is None:
                raise refusals.invalid_fields(domain="No such domain.")
            user = User(
                id=str(uuid.uuid4()),
                email=email.shown,
                email_key=email.key,
                email_skeleton=email.skeleton,
                full_name=fields.get("full_name", ""),
                domain=domain,
                level=level,
                active=fields.get("active", True),
                layer_domains=list(fields.get("layer_domains", [])),
                password_hash=hashed,
                created_at=now,
                last_login_at=None,
                version=1,
            )
            session.add(user)
            session.flush()
            audit.write(session, origin, now, "user.add", user.id, email=user.email, domain=domain, level=level)
            return user

        return self._stored(work)

    def change(self, caller: Caller | None, user_id: str, fields: Mapping[str, Any], origin: Origin, if_match: int | None = None) -> User:
        """Change a user. if_match: the version that the caller saw. Raises Refusal 403, 404, 409, 412, 422."""
        email = read_email(fields["email"]) if "email" in fields else None
        if caller is not None and caller.user.id == user_id:
            may_take_email(caller, email.shown if email else None)

        def work(session: Session) -> User:
            now = self._clock.now()
            user = self._manageable(session, caller, user_id, if_match)
            if self._gains(user, fields):
                require_password(caller)  # the new rights would outlive the key
            if fields.get("level", user.level) != user.level:
                may_give(caller, fields["level"])
            if fields.get("domain", user.domain) != user.domain:
                if caller is not None and not levels.at_least(caller.user.level, levels.SUPER_USER):
                    raise refusals.not_allowed("SUPER_USER to move a user")
                if store.domain(session, fields["domain"]) is None:
                    raise refusals.invalid_fields(domain="No such domain.")
            if fields.get("active") is False or fields.get("level", levels.SUPER_USER) != levels.SUPER_USER:
                self._keep_one_super_user(session, user)
            changed = self._apply(session, user, fields, email)
            if changed:
                user.version += 1
                if not user.active:
                    grants.end_all(session, user.id, now)
                session.flush()
                audit.write(session, origin, now, "user.change", user.id, fields=changed)
            return user

        return self._stored(work)

    def remove(self, caller: Caller | None, user_id: str, origin: Origin, if_match: int | None = None) -> None:
        """Remove a user. Raises Refusal 403, 404, 409, 412."""

        def work(session: Session) -> None:
            user = self._manageable(session, caller, user_id, if_match)
            self._keep_one_super_user(session, user)
            audit.write(session, origin, self._clock.now(), "user.remove", user.id, email=user.email)
            session.delete(user)

        self._database.run(work)

    def set_password(self, caller: Caller | None, user_id: str, new: str, origin: Origin) -> None:
        """Give a user a new password, by an administrator who did not come with a login key. Raises Refusal 403, 404, 422, 503."""
        require_password(caller)
        with self._database.read() as session:
            email = self._manageable(session, caller, user_id, None, lock=False).email
        self._passwords.put(email, new, origin, lambda session: self._manageable(session, caller, user_id, None))

    def change_own(self, caller: Caller, fields: Mapping[str, Any], origin: Origin, if_match: int | None = None) -> User:
        """Change one's own profile. Raises Refusal 401, 403, 409, 412, 422."""
        email = read_email(fields["email"]) if "email" in fields else None
        may_take_email(caller, email.shown if email else None)

        def work(session: Session) -> User:
            user = own_account.locked(session, caller, if_match)
            changed = self._apply(session, user, {name: value for name, value in fields.items() if name in OWN_FIELDS}, email)
            if changed:
                user.version += 1
                session.flush()
                audit.write(session, origin, self._clock.now(), "me.change", user.id, fields=changed)
            return user

        return self._stored(work)

    @staticmethod
    def _gains(user: User, fields: Mapping[str, Any]) -> bool:
        """Say whether the user may do more after the change, or the same elsewhere."""
        return (
            not levels.at_least(user.level, fields.get("level", user.level))
            or fields.get("domain", user.domain) != user.domain
            or (fields.get("active", user.active) and not user.active)
            or not set(fields.get("layer_domains", [])) <= set(user.layer_domains)
        )

    def _visible(self, session: Session, caller: Caller | None, user_id: str, *, lock: bool = False) -> User:
        scope = administered_domain(caller)
        user = accounts.by_id(session, user_id, lock=lock)
        if user is None or (scope is not None and user.domain != scope):
            raise refusals.not_found("user")
        return user

    def _manageable(self, session: Session, caller: Caller | None, user_id: str, if_match: int | None, *, lock: bool = True) -> User:
        if lock:
            store.lock_super_users(session)  # before the row itself, always in this order, so that no two requests wait for each other
        user = self._visible(session, caller, user_id, lock=lock)
        if caller is not None and not levels.at_least(caller.user.level, user.level):
            raise refusals.not_allowed(f"{user.level} to manage this user")
        if if_match is not None and if_match != user.version:
            raise refusals.changed_meanwhile()
        return user

    @staticmethod
    def _keep_one_super_user(session: Session, user: User) -> None:
        if user.level == levels.SUPER_USER and user.active and store.lock_super_users(session) == [user.id]:
            raise refusals.last_super_user()

    @staticmethod
    def _apply(session: Session, user: User, fields: Mapping[str, Any], email: emails.Email | None) -> list[str]:
        """Change a user's row; returns the names of the fields that changed. Raises Refusal 409."""
        changed = []
        if email is not None and email.shown != user.email:
            if store.taken(session, email.key, email.skeleton, besides=user.id):
                raise refusals.email_taken()
            user.email, user.email_key, user.email_skeleton = email
            changed.append("email")
        for name in ("full_name", "domain", "level", "active", "layer_domains"):
            if name in fields and fields[name] != getattr(user, name):
                setattr(user, name, fields[name])
                changed.append(name)
        return changed

    def _stored(self, work: Any) -> User:
        """Run a change. The store's constraints decide between two at once that take one address, or remove the domain of the other."""
        try:
            user: User = self._database.run(work)
        except IntegrityError as error:
            if "foreign key" in str(error.orig).lower():
                raise refusals.invalid_fields(domain="No such domain.") from None
            raise refusals.email_taken() from None
        return user
