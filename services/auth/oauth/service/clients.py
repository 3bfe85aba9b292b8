"""OAuth2 clients, those of the settings among them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.audit import store as audit
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import opaque
from services.auth.models import Client
from services.auth.oauth import store
from services.auth.oauth.rules import redirects
from services.common.clock import Clock
from services.common.database import Database


class Clients:
    """OAuth2 clients, and the neighbours that may ask `/verify/*`. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, fixed: Iterable[tuple[str, str]]) -> None:
        """fixed: names and secrets of the neighbours in the settings; of two secrets of a name the first is stored."""
        self._database = database
        self._clock = clock
        self._fixed = dict(reversed(tuple(fixed)))

    def page(self, page: int, per_page: int) -> tuple[list[Client], int]:
        """Return one page by name, and how many there are in all."""
        with self._database.read() as session:
            return store.clients(session, page, per_page)

    def add(self, fields: Mapping[str, Any], origin: Origin) -> tuple[Client, str | None]:
        """Add a client; returns it and its secret, None for a public one. Raises Refusal 422."""
        problems = {f"redirect_uris.{n}": [why] for n, uri in enumerate(fields.get("redirect_uris", [])) if (why := redirects.problem(uri))}
        if problems:
            raise refusals.invalid_fields(redirect_uris=problems)
        grants = list(
            dict.fromkeys(
                fields.get("grants") or (["client_credentials"] if fields.get("service") else ["authorization_code", "refresh_token"])
            )
        )
        if "authorization_code" in grants and not fields.get("redirect_uris"):
            raise refusals.invalid_fields(redirect_uris="At least one, for the grant authorization_code.")
        public = fields.get("public", False)
        if public and (fields.get("service") or "client_credentials" in grants):
            raise refusals.invalid_fields(public="A client without a secret cannot be a service nor use client_credentials.")
        secret = None if public else opaque.make(opaque.CLIENT)

        def work(session: Session) -> Client:
            now = self._clock.now()
            client = Client(
                id=str(uuid.uuid4()),
                name=fields["name"],
                secret_digest=opaque.digest(secret) if secret else None,
                redirect_uris=list(fields.get("redirect_uris", [])),
                grants=grants,
                service=fields.get("service", False),
                created_at=now,
            )
            session.add(client)
            audit.write(session, origin, now, "client.add", client.id, name=client.name, service=client.service)
            return client

        return self._database.run(work), secret

    def rotate(self, client_id: str, origin: Origin) -> tuple[Client, str]:
        """Give a client a new secret in the place of its own; its sign-ins stay. Raises Refusal 404, 409."""
        if client_id in self._fixed:
            raise refusals.client_in_settings()
        secret = opaque.make(opaque.CLIENT)

        def work(session: Session) -> Client:
            client = store.client(session, client_id)
            if client is None:
                raise refusals.not_found("client")
            if client.secret_digest is None:
                raise refusals.client_is_public()
            client.secret_digest = opaque.digest(secret)
            audit.write(session, origin, self._clock.now(), "client.rotate", client_id, name=client.name)
            return client

        return self._database.run(work), secret

    def remove(self, client_id: str, origin: Origin) -> None:
        """Remove a client with its sign-ins and codes. Raises Refusal 404, 409."""
        if client_id in self._fixed:
            raise refusals.client_in_settings()

        def work(session: Session) -> None:
            client = store.client(session, client_id)
            if client is None:
                raise refusals.not_found("client")
            audit.write(session, origin, self._clock.now(), "client.remove", client_id, name=client.name)
            session.delete(client)

        self._database.run(work)

    def put_fixed(self, origin: Origin) -> None:
        """Store the neighbours that the settings name, with the secrets that they have there."""

        def work(session: Session) -> None:
            now = self._clock.now()
            for name, secret in self._fixed.items():
                digest = opaque.digest(secret)
                client = store.client(session, name)
                if client is None:
                    session.add(
                        Client(
                            id=name,
                            name=name,
                            secret_digest=digest,
                            redirect_uris=[],
                            grants=["client_credentials"],
                            service=True,
                            created_at=now,
                        )
                    )
                    audit.write(session, origin, now, "client.add", name, name=name, service=True)
                elif client.secret_digest != digest:
                    client.secret_digest = digest
                    audit.write(session, origin, now, "client.change", name)

        try:
            self._database.run(work)
        except IntegrityError:
            self._database.run(work)  # another process added them at the same moment
