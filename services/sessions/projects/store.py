"""Projects and their versions in the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Project, Session, Version


class Facts(NamedTuple):
    """What other tables know of a project. versions: that are stored, in order. last_session: id of the newest one. edited: whether a
    session of type EDITOR runs.
    """

    versions: tuple[int, ...] = ()
    last_session: int | None = None
    edited: bool = False


def by_name(transaction: Transaction, name: str, *, lock: bool = False, trashed: bool = False) -> Project | None:
    """Find a project. trashed: also one in the trash.

    lock: nobody else changes it, or starts a session of it, until the transaction ends.
    """
    if "\0" in name:  # PostgreSQL refuses to be asked for it
        return None
    found = sa.select(Project).where(Project.name == name)
    if not trashed:
        found = found.where(Project.trashed_at.is_(None))
    return transaction.execute(found.with_for_update() if lock else found).scalar_one_or_none()


def by_id(transaction: Transaction, project_id: int | None, *, lock: bool = False) -> Project | None:
    """Find a project that is not trashed. lock: as `by_name`."""
    found = sa.select(Project).where(Project.id == project_id, Project.trashed_at.is_(None))
    return transaction.execute(found.with_for_update() if lock else found).scalar_one_or_none()


def of_domain(transaction: Transaction, domain: str) -> list[Project]:
    """Return the projects of a domain by name, those in the trash included."""
    return list(transaction.scalars(sa.select(Project).where(Project.domain == domain).order_by(Project.name)))


def add(transaction: Transaction, project: Project) -> None:
    """Add a project and number it. Raises IntegrityError for a name that is taken."""
    transaction.add(project)
    transaction.flush()


def is_running(transaction: Transaction, project: Project) -> bool:
    """Say whether a session of a project runs. While the project's row is locked none starts."""
    running = sa.select(Session.id).where(Session.project_id == project.id, Session.ended_at.is_(None)).limit(1)
    return transaction.scalar(running) is not None


def facts(transaction: Transaction, projects: Collection[Project]) -> dict[int, Facts]:
    """Return what other tables know of these projects, by id. projects: one, or several of one domain."""
    known = {project.id: Facts() for project in projects}
    if not known:
        return known
    first = next(iter(projects))
    # by their domain, not by a list of ids, which may be longer than a statement takes
    these = sa.select(Project.id).where(Project.id == first.id if len(known) == 1 else Project.domain == first.domain)
    edited = sa.func.max(sa.case((sa.and_(Session.type == "EDITOR", Session.ended_at.is_(None)), 1), else_=0))
    sessions = (
        sa.select(Session.project_id, sa.func.max(Session.id), edited).where(Session.project_id.in_(these)).group_by(Session.project_id)
    )
    versions = sa.select(Version.project_id, Version.version).where(Version.project_id.in_(these)).order_by(Version.version)
    for project_id, last, is_edited in transaction.execute(sessions):
        if project_id in known:
            known[project_id] = Facts((), last, bool(is_edited))
    for project_id, number in transaction.execute(versions):
        if project_id in known:
            known[project_id] = known[project_id]._replace(versions=(*known[project_id].versions, number))
    return known


def has_version(transaction: Transaction, project: Project, number: int) -> bool:
    """Say whether a version is stored."""
    found = sa.select(Version.version).where(Version.project_id == project.id, Version.version == number)
    return transaction.scalar(found) is not None


def is_stored(transaction: Transaction, project: Project) -> bool:
    """Say whether any version is stored."""
    return transaction.scalar(sa.select(Version.version).where(Version.project_id == project.id).limit(1)) is not None


def add_version(transaction: Transaction, project: Project, content: Mapping[str, Any], now: dt.datetime, kept: int) -> int:
    """Store a version of a locked project and return its number. kept: how many stay; the oldest ones go."""
    last = transaction.scalar(sa.select(sa.func.max(Version.version)).where(Version.project_id == project.id)) or 0
    number = last + 1
    transaction.add(Version(project_id=project.id, version=number, content=dict(content), created_at=now))
    transaction.flush()
    transaction.execute(sa.delete(Version).where(Version.project_id == project.id, Version.version <= number - kept))
    return number


def content_of(transaction: Transaction, project: Project) -> dict[str, list[dict[str, Any]]] | None:
    """Return the items that sessions of a project begin with, by the names of their lists; None: those of a new project."""
    found = sa.select(Version.content).where(Version.project_id == project.id, Version.version == project.active_version)
    return transaction.scalar(found)


def has_trashed(transaction: Transaction, before: dt.datetime) -> bool:
    """Say whether `remove_trashed` has anything to remove."""
    return transaction.scalar(sa.select(Project.id).where(Project.trashed_at < before).limit(1)) is not None


def remove_trashed(transaction: Transaction, before: dt.datetime, name: str | None = None) -> int:
    """Remove what was trashed before this moment; return how many. name: only the project of this name."""
    gone = sa.delete(Project).where(Project.trashed_at < before)
    if name is not None:
        gone = gone.where(Project.name == name)
    return int(transaction.execute(gone).rowcount or 0)  # type: ignore[attr-defined]  # a delete's result has it
