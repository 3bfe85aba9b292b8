"""Domains: each user belongs to one, which sets how long the user's login keys live."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.models import Domain
from services.auth.people import store
from services.common.clock import Clock
from services.common.database import Database


class Domains:
    """Domains, for super users. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, page: int, per_page: int) -> tuple[list[Domain], int]:
        """Return one page by name, and how many there are in all."""
        with self._database.read() as session:
            return store.domains(session, page, per_page)

    def known(self, name: str) -> bool:
        """Say whether there is a domain of this name."""
        with self._database.read() as session:
            return store.domain(session, name) is not None

    def add(self, name: str, lifetime_s: int, origin: Origin) -> Domain:
        """Add a domain. Raises Refusal 409."""

        def work(session: Session) -> Domain:
            now = self._clock.now()
            if store.domain(session, name) is not None:
                raise refusals.name_taken()
            domain = Domain(name=name, login_key_lifetime_s=lifetime_s, created_at=now)
            session.add(domain)
            session.flush()
            audit.write(session, origin, now, "domain.add", name)
            return domain

        try:
            return self._database.run(work)
        except IntegrityError:
            raise refusals.name_taken() from None

    def change(self, name: str, lifetime_s: int, origin: Origin) -> Domain:
        """Change how long login keys live; a key that is out keeps its end. Raises Refusal 404."""

        def work(session: Session) -> Domain:
            domain = store.domain(session, name)
            if domain is None:
                raise refusals.not_found("domain")
            domain.login_key_lifetime_s = lifetime_s
            audit.write(session, origin, self._clock.now(), "domain.change", name, login_key_lifetime_s=lifetime_s)
            return domain

        return self._database.run(work)

    def remove(self, name: str, origin: Origin) -> None:
        """Remove a domain without users. Raises Refusal 404, 409."""

        def work(session: Session) -> None:
            domain = store.domain(session, name)
            if domain is None:
                raise refusals.not_found("domain")
            if store.domain_in_use(session, name):
                raise refusals.domain_in_use()
            session.delete(domain)
            session.flush()
            audit.write(session, origin, self._clock.now(), "domain.remove", name)

        try:
            self._database.run(work)
        except IntegrityError:
            raise refusals.domain_in_use() from None
