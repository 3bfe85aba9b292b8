"""What happens to a session within one transaction; whoever opens it has locked what the step names."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session as Transaction

from services.sessions import levels, refusals
from services.sessions.access import Caller, may
from services.sessions.items import store as items
from services.sessions.items.rules import lists
from services.sessions.models import Client, Project, Session
from services.sessions.presence.silence import Moments, Silence
from services.sessions.projects import rules as rights
from services.sessions.projects import store as projects
from services.sessions.sessions import store
from services.sessions.sessions.rules import places, tokens, types

LOST: Final = "CLIENT_LOST"  # what the list LOGS calls the release of a client that is lost

Content = Mapping[str, Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Wish:
    """A session that somebody wants to start. started_as: how they name its type. preferred_id: it gets this one if no session has had it.

    name: None for the project's. save: name of the saved session that it begins with; None to begin with the project.
    """

    started_as: str
    project: str
    language: str | None = None
    preferred_id: int | None = None
    group: str | None = None
    name: str | None = None
    save: str | None = None

    @property
    def type(self) -> str:
        return types.OF_NAME[self.started_as]


@dataclass(frozen=True, slots=True)
class Join:
    """How somebody wants to join. token: the client token; whether it is one of an earlier join is found out."""

    app_type: str
    token: str
    address: str = ""
    computer_name: str = ""


def wanted(session_type: str, project: Project) -> rights.Right:
    """Return the right on the project that a session of this type needs: editing is writing, but a template is saved as another project."""
    return "WRITE" if session_type == types.EDITOR and not project.template else "READ"


def reaches(caller: Caller, session: Session, project: Project | None) -> bool:
    """Say whether the caller may join, change or end a session."""
    if project is None or (session.type == types.EDITOR and not may(caller, levels.EDITOR)):
        return False
    return rights.may(caller.user, project, wanted(session.type, project))


def sees(caller: Caller, project: Project | None) -> bool:
    """Say whether the caller may know that a session of this project is there."""
    if project is None:
        return False
    return project.domain == caller.user.domain or rights.may(caller.user, project, "READ")


def reach(transaction: Transaction, caller: Caller, session_id: int, silence: Silence, moments: Moments) -> Session:
    """Lock a running session that the caller reaches. Raises Refusal 404 for one that is not there, 400 (or 403) for missing rights."""
    session = store.lock(transaction, session_id)
    if session is None or silence.is_over(session, moments):
        raise refusals.no_such("session", session_id)
    project = store.project(transaction, session)
    if not sees(caller, project):
        raise refusals.no_such("session", session_id)
    if not reaches(caller, session, project):
        raise refusals.insufficient_rights()
    return session


def project_to_start(transaction: Transaction, caller: Caller, wish: Wish, *, lock: bool = True) -> Project:
    """Return the project of a wish. lock: nobody else changes it until the transaction ends. Raises Refusal 400 (or 403), 404, 409."""
    project = projects.by_name(transaction, wish.project, lock=lock)
    if project is None or not sees(caller, project):
        raise refusals.no_such("project", wish.project)
    if not rights.may(caller.user, project, wanted(wish.type, project)):
        raise refusals.insufficient_rights()
    if project.archived_at is not None:
        raise refusals.conflict(f"Project {project.name} is archived. Take it out of the archive first.")
    return project


def start(transaction: Transaction, caller: Caller, project: Project, wish: Wish, limit: int, now: dt.datetime) -> Session:
    """Start a session of a locked project. Numbering is locked, and what has timed out was ended. Raises Refusal 404, 409, 503."""
    blocking = types.in_the_way(wish.type, [one.type for one in store.of_project(transaction, project.id)])
    if blocking is not None:
        raise refusals.conflict(
            f"Project {project.name} is being edited; nobody else can open it until that session is closed."
            if blocking == types.EDITOR
            else f"Project {project.name} is being played; it cannot be edited until all its sessions are closed."
        )
    _take_place(transaction, project.domain, limit)
    content = _content(transaction, project, wish.save, now)
    session = Session(
        id=_number(transaction, wish.preferred_id),
        project_id=project.id,
        project_name=project.name,
        domain=project.domain,
        name=wish.name or project.name,
        type=wish.type,
        started_as=wish.started_as,
        language=wish.language or project.language,
        group_token=wish.group or None,
        key=secrets.token_hex(16),
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
    store.add(transaction, session)
    items.create(transaction, session, content)
    return session


def join(transaction: Transaction, caller: Caller, session: Session, wish: Join, now: dt.datetime) -> Client:
    """Join a locked session; with the token of a client of the caller's that is joined, be that client again. Raises Refusal 400, 409."""
    session.active_at = max(session.active_at, now)
    digest = tokens.digest(wish.token)
    known = store.client(transaction, digest)
    if known is not None:
        if known.user_id != caller.user.id or (known.released_at is None and known.session_id != session.id):
            raise refusals.invalid_request("this clientToken is in use; leave it out to get a new one.")
        if known.released_at is None:
            known.level, known.full_name, known.last_seen = caller.user.level, caller.user.full_name, now
            return known
        known.token_digest = None  # the new client has it now
        transaction.flush()
    elif not tokens.is_client_token(wish.token):
        raise refusals.invalid_request("clientToken has 16 to 64 letters, digits and hyphens; leave it out to get a new one.")
    if store.count_joined(transaction, session.id) >= places.MOST_CLIENTS:
        raise refusals.conflict(f"Session {session.id} has {places.MOST_CLIENTS} clients; no more can join.")
    client = Client(
        session_id=session.id,
        token_digest=digest,
        user_id=caller.user.id,
        user_name=caller.user.email,
        full_name=caller.user.full_name,
        level=caller.user.level,
        computer_name=wish.computer_name,
        address=wish.address,
        app_type=wish.app_type,
        joined_at=now,
        last_seen=now,
        polled=False,
        released_at=None,
    )
    store.add(transaction, client)
    return client


def release(transaction: Transaction, session: Session, clients: Iterable[Client], event: str, now: dt.datetime) -> None:
    """Release clients of a locked session, and free what they hold. event: why, for the list LOGS."""
    released = {client.id: client for client in clients}
    for client in released.values():
        client.released_at = now
    if not released:
        return
    changes = items.Changes(transaction, session)
    held = [(one, released[one.holder]) for one in changes.held(released) if one.holder is not None]
    changes.release(released)
    for one, client in held:
        changes.log(event, one.id, client.user_name, f"{one.content['name']} is free.", now)


def end(transaction: Transaction, session: Session, now: dt.datetime) -> None:
    """End a locked session, with its clients and lists. Its row stays, so that its token is known as that of an ended one."""
    session.ended_at = now
    store.release_all(transaction, session.id, now)
    transaction.flush()
    store.remove_lists(transaction, session.id)


def end_over(transaction: Transaction, silence: Silence, moments: Moments) -> list[int]:
    """End the sessions that have timed out. Returns their ids."""
    ended = []
    for session_id in store.over(transaction, moments):
        session = store.lock(transaction, session_id)
        if session is not None and silence.is_over(session, moments):
            end(transaction, session, moments.now)
            ended.append(session_id)
    return ended


def _take_place(transaction: Transaction, domain: str, limit: int) -> None:
    why = places.refuses(limit, *store.count(transaction, domain))
    if why is not None:
        raise refusals.full() if why == "full" else refusals.fair_use()


def _number(transaction: Transaction, preferred: int | None) -> int:
    """Return the preferred id when it is above all that were given and no session has it; else the next one."""
    numbering = store.lock_numbering(transaction)
    if preferred is not None and numbering.next_id <= preferred <= places.LARGEST_ID and not store.is_known(transaction, preferred):
        return preferred
    while store.is_known(transaction, numbering.next_id):
        numbering.next_id += 1
    numbering.next_id += 1
    return numbering.next_id - 1


def _content(transaction: Transaction, project: Project, save: str | None, now: dt.datetime) -> Content:
    new = lists.at_start(now)
    if save is None:
        # its time begins with the session
        return {**new, **(projects.content_of(transaction, project) or {}), lists.TIMES: new[lists.TIMES]}
    found = store.save(transaction, project.id, save)
    if found is None:
        raise refusals.no_such("saved session", save)
    return {**new, **found.content}
