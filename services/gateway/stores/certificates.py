"""Certificates of clients, and of the authorities that vouch for them. They are public: no private key is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.common.upsert import insert
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.generations import current, number_of, raise_generation

GENERATION: Final = "certificates"

# id: the organisation, and the SHA-256 of the certificate in hexadecimal digits, as in Tyk.
CERTIFICATES: Final = sa.Table(
    "certificates",
    metadata,
    sa.Column("id", sa.String(192), primary_key=True),
    sa.Column("org_id", sa.String(128), nullable=False),
    sa.Column("pem", sa.Text, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
)
_C: Final = CERTIFICATES.c
_FINGERPRINT: Final = 64


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """org_id: "" = it belongs to none. pem: one certificate."""

    id: str
    org_id: str
    pem: str


class CertificateStore(OfCallers):
    """Thread-safe."""

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def of(self, ids: Iterable[str]) -> dict[str, StoredCertificate]:
        """Return those of the given certificates that are stored, by id."""
        with self._database.read() as connection:
            return {one.id: one for one in map(_stored, connection.execute(_CHOSEN.where(_C.id.in_(list(ids)), self._mine())))}

    def owners(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the organisations of those certificates that are stored."""
        return {id: one.org_id for id, one in self.of(ids).items()}

    def page(self, org_id: str | None = None, *, number: int = -1, size: int = 10) -> tuple[list[StoredCertificate], int]:
        """Return one page, the oldest first, and the number of all. org_id: of one organisation. number: from zero, negative = all."""
        chosen = _CHOSEN.where(self._mine())
        if org_id is not None:
            chosen = chosen.where(_C.org_id == org_id)
        ordered = chosen.order_by(_C.created_at, _C.id)
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            return [_stored(row) for row in connection.execute(ordered)], total

    def all(self) -> tuple[int, dict[str, str]]:
        """Return the generation and every certificate (PEM) by its id, as they were together."""
        with self._database.read() as connection:
            number = number_of(connection, GENERATION)
            return number, {row.id: row.pem for row in connection.execute(_CHOSEN)}

    def add(self, certificate: StoredCertificate) -> bool:
        """Store a certificate; return False when it is stored already."""
        self._caller.check(certificate.org_id)

        def work(connection: sa.Connection) -> bool:
            values = {"id": certificate.id, "org_id": certificate.org_id, "pem": certificate.pem, "created_at": self._clock.now()}
            first = insert(connection.dialect.name, CERTIFICATES).values(**values)
            if connection.execute(first.on_conflict_do_nothing().returning(_C.id)).first() is None:
                self._caller.idle()
                return False
            self._caller.tell("certificate", certificate.id, None, {"id": certificate.id, "org_id": certificate.org_id})
            raise_generation(connection, GENERATION, [certificate.id[-_FINGERPRINT:]])
            return True

        return self._database.run(work)

    def delete(self, id: str) -> bool:
        """Delete a certificate; return whether there was one."""

        def work(connection: sa.Connection) -> bool:
            org_id = connection.scalar(sa.select(_C.org_id).where(_C.id == id, self._mine()).with_for_update())
            if org_id is None:
                self._caller.idle()
                return False
            connection.execute(sa.delete(CERTIFICATES).where(_C.id == id))
            self._caller.tell("certificate", id, {"id": id, "org_id": org_id}, None)
            raise_generation(connection, GENERATION, [id[-_FINGERPRINT:]])
            return True

        return self._database.run(work)

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(_C.org_id)

    def generation(self) -> int:
        """Return the generation, which rises with every write."""
        return current(self._database, GENERATION)


_CHOSEN: Final = sa.select(_C.id, _C.org_id, _C.pem)


def _stored(row: sa.Row[Any, Any, Any]) -> StoredCertificate:
    return StoredCertificate(row.id, row.org_id, row.pem)
