"""Saving what was edited in a session as its project, or as a new one."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session as Transaction

from services.common.clock import Clock
from services.common.database import Database
from services.sessions import refusals
from services.sessions.access import Caller
from services.sessions.directory import Directory
from services.sessions.items import store as items
from services.sessions.items.rules import lists
from services.sessions.models import Project, Session
from services.sessions.projects import rules, store
from services.sessions.projects.service.finding import domain_of
from services.sessions.projects.service.projects import check_name, named, new
from services.sessions.sessions import store as sessions
from services.sessions.sessions.rules import types

_OF_THE_SESSION: Final = (lists.MESSAGES, lists.LOGS)  # what belongs to a session more than to its project


class Versions:
    """Stores the lists of sessions of type EDITOR as versions of projects. Thread-safe."""

    def __init__(self, database: Database, directory: Directory, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock

    def save(self, caller: Caller, session_id: int) -> bool:
        """Store the session's lists as a new version of its project and make it the active one. Raises Refusal 400 (or 403), 404, 409."""

        def work(transaction: Transaction) -> bool:
            session, project = self._edited(transaction, caller, session_id)
            if not rules.may(caller.user, project, "WRITE"):
                raise refusals.insufficient_rights(f"you may only read the project {project.name!r}")
            self._store(transaction, session, project)
            return True

        return self._database.run(work)

    def save_as(self, caller: Caller, session_id: int, domain: str | None, name: str, everything: bool) -> bool:
        """Store the session's lists as a new project of the caller's; the session goes on as one of the new project.

        So what is saved later never changes the project that it began with. everything: its messages and logs as well.
        Raises Refusal 400 (or 403), 404, 409.
        """
        check_name(name)
        if domain_of(caller, domain) != caller.user.domain:
            raise refusals.invalid_request("a project belongs to the domain of its owner: leave the domain out.")
        now = self._clock.now()

        def work(transaction: Transaction) -> bool:
            session, source = self._edited(transaction, caller, session_id)
            if not rules.may(caller.user, source, "READ"):
                raise refusals.insufficient_rights()
            store.remove_trashed(transaction, now - rules.TRASH_KEPT, name)
            project = new(caller, name, now)
            project.languages, project.sub_domain, project.detailed = list(source.languages), source.sub_domain, source.detailed
            project.map_size_m, project.lat, project.lon = session.map_size_m, session.lat, session.lon
            store.add(transaction, project)
            self._store(transaction, session, project, () if everything else _OF_THE_SESSION)
            if session.name == session.project_name:
                session.name = name
            session.project_id, session.project_name = project.id, name
            return True

        named(lambda: self._database.run(work))
        self._directory.announce(session_id)
        return True

    def _edited(self, transaction: Transaction, caller: Caller, session_id: int) -> tuple[Session, Project]:
        """Lock a session of type EDITOR, then its project: nobody saves or changes either meanwhile. Raises Refusal 404, 409."""
        session = sessions.lock(transaction, session_id)
        if session is None or session.domain != caller.user.domain:
            raise refusals.no_such("session", session_id)
        if session.type != types.EDITOR:
            raise refusals.conflict(f"Session {session_id} is played, not edited. Only a session of type EDITOR is saved as a project.")
        project = store.by_id(transaction, session.project_id, lock=True)
        if project is None:
            raise refusals.no_such("project", session.project_name)
        return session, project

    def _store(self, transaction: Transaction, session: Session, project: Project, without: tuple[str, ...] = ()) -> None:
        """Store the lists as a version. Those in `without` are stored empty: each session has all lists."""
        now = self._clock.now()
        found = items.content(transaction, session.id)
        content = {name: [] if name in without else of_list for name, of_list in found.items()}
        project.active_version = store.add_version(transaction, project, content, now, rules.KEPT_VERSIONS)
        project.changed_at = now
