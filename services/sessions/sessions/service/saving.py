"""Saving sessions, to be loaded later."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session as Transaction

from services.common.database import Database
from services.sessions import refusals
from services.sessions.access import Caller
from services.sessions.items import store as items
from services.sessions.models import Save
from services.sessions.presence.silence import Silence
from services.sessions.projects import rules as rights
from services.sessions.projects import store as projects
from services.sessions.sessions import store
from services.sessions.sessions.rules import places, types
from services.sessions.sessions.service import answers, steps


class Saving:
    """Saves of sessions. Thread-safe."""

    def __init__(self, database: Database, silence: Silence) -> None:
        self._database = database
        self._silence = silence

    def save(self, caller: Caller, session_id: int, name: str) -> bool:
        """Save a played session under a name of its project's; an older save of this name is replaced. Returns True.

        Raises Refusal 400 (or 403), 404, 409.
        """
        moments = self._silence.moments()

        def work(transaction: Transaction) -> bool:
            session = steps.reach(transaction, caller, session_id, self._silence, moments)
            if session.type == types.EDITOR or session.project_id is None:
                raise refusals.conflict("An EDITOR session is saved by SAVE_PROJECT.")
            projects.by_name(transaction, session.project_name, lock=True)
            found = store.save(transaction, session.project_id, name)
            if found is None and store.count_saves(transaction, session.project_id) >= places.MOST_SAVES:
                raise refusals.conflict(f"Project {session.project_name} has {places.MOST_SAVES} saved sessions. Save over one of them.")
            content = items.content(transaction, session.id)
            found = found or Save(project_id=session.project_id, name=name)
            found.session_name = session.name
            found.started_as = session.started_as
            found.language = session.language
            found.content = content
            found.created_at = moments.now
            transaction.add(found)
            return True

        return self._database.run(work)

    def of_project(self, caller: Caller, project_name: str) -> list[dict[str, Any]]:
        """Return the saved sessions of a project, the newest first. Raises Refusal 400 (or 403), 404."""
        with self._database.read() as transaction:
            project = projects.by_name(transaction, project_name)
            if project is None or not steps.sees(caller, project):
                raise refusals.no_such("project", project_name)
            if not rights.may(caller.user, project, "READ"):
                raise refusals.insufficient_rights()
            return [
                {
                    "saveName": one.name,
                    "sessionName": one.session_name,
                    "sessionType": types.shown(one.started_as, today=caller.today),
                    "projectName": project.name,
                    "projectDomain": project.domain,
                    "language": one.language,
                    "saveTime": answers.milliseconds(one.created_at),
                }
                for one in store.saves(transaction, project.id)
            ]
