"""Starting, joining and ending sessions."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy.orm import Session as Transaction

from services.common.clock import Clock
from services.common.database import Database
from services.sessions import levels, refusals
from services.sessions.access import Caller, Seats, may
from services.sessions.directory import Directory
from services.sessions.items import store as items
from services.sessions.items.rules import lists
from services.sessions.models import Client, Session
from services.sessions.projects import rules as rights
from services.sessions.projects import store as projects
from services.sessions.sessions import store
from services.sessions.sessions.rules import tokens, types


class Sessions:
    """What users do with sessions. Thread-safe."""

    def __init__(self, database: Database, seats: Seats, directory: Directory, clock: Clock) -> None:
        self._database = database
        self._seats = seats
        self._directory = directory
        self._clock = clock

    def start(
        self, caller: Caller, session_type: str, project_name: str, language: str | None, preferred_id: int | None, group: str | None
    ) -> int:
        """Start a session of a project and return its id. Raises Refusal 400 (or 403), 404, 409, 503."""
        if session_type == types.EDITOR and not may(caller, levels.EDITOR):
            raise refusals.insufficient_rights()
        key = secrets.token_hex(16)
        now = self._clock.now()

        def work(transaction: Transaction) -> int:
            numbering = store.lock_numbering(transaction)
            project = projects.by_name(transaction, project_name, lock=True)
            if project is None or rights.right(caller.user, project) == "NONE":
                raise refusals.no_such("project", project_name)
            session = Session(
                id=numbering.next_id,
                project_id=project.id,
                project_name=project.name,
                domain=project.domain,
                name=project.name,
                type=session_type,
                language=language or project.language,
                group_token=group,
                key=key,
                keep_alive="NEVER",
                detailed=project.detailed,
                map_size_m=project.map_size_m,
                lat=project.lat,
                lon=project.lon,
                version=1,
                started_by=caller.user.id,
                started_at=now,
                active_at=now,
                ended_at=None,
            )
            numbering.next_id += 1
            store.add(transaction, session)
            items.create(transaction, session, lists.at_start(now))
            return session.id

        return self._database.run(work)

    def join(
        self, caller: Caller, session_id: int, app_type: str, address: str | None, computer_name: str | None, client_token: str | None
    ) -> dict[str, Any]:
        """Join a session; with the token of a client that is joined, be that client again. Raises Refusal 400, 404."""
        token = client_token or tokens.new_client_token()
        now = self._clock.now()

        def work(transaction: Transaction) -> dict[str, Any]:
            session = store.lock(transaction, session_id)
            if session is None or session.domain != caller.user.domain:
                raise refusals.no_such("session", session_id)
            client = Client(
                session_id=session.id,
                token_digest=tokens.digest(token),
                user_id=caller.user.id,
                user_name=caller.user.email,
                full_name=caller.user.full_name,
                level=caller.user.level,
                computer_name=computer_name or "",
                address=address or "",
                app_type=app_type,
                joined_at=now,
                last_seen=now,
                polled=False,
                released_at=None,
            )
            store.add(transaction, client)
            session.active_at = now
            session_token = self._seats.token(session.id, session.key)
            return {
                "client": {
                    "address": client.address,
                    "computerName": client.computer_name,
                    "fullName": client.full_name,
                    "userName": client.user_name,
                    "subscription": session.domain,
                    "clientToken": token,
                    "lastSeen": int(now.timestamp() * 1000),
                    "updated": int(now.timestamp() * 1000),
                    "connectionState": "CONNECTED",
                    "serverEventCounter": 0,
                },
                "serverToken": session_token,
                "apiToken": session_token,
                "platform": "Gatehouse",
                "sessionType": session.type,
                "sessionID": session.id,
                "project": session.project_name,
                "languague": session.language,
                "language": session.language,
                "lists": list(lists.ALL),
            }

        found = self._database.run(work)
        self._directory.announce(session_id)
        return found
