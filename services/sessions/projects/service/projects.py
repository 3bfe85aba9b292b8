"""What users do with projects: create, find, change and throw them away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from services.common.clock import Clock
from services.common.database import Database
from services.sessions import refusals
from services.sessions.access import Caller
from services.sessions.models import Project
from services.sessions.projects import rules, store
from services.sessions.projects.service.finding import domain_of, find

T = TypeVar("T")


class Projects:
    """What users do with projects. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, caller: Caller, name: str, language: str | None, detailed: bool | None) -> dict[str, Any]:
        """Create a project of the caller's. Raises Refusal 400, 409."""
        check_name(name)
        now = self._clock.now()

        def work(transaction: Transaction) -> dict[str, Any]:
            store.remove_trashed(transaction, now - rules.TRASH_KEPT, name)
            project = new(caller, name, now)
            project.languages = [language or "EN"]
            project.detailed = bool(detailed)
            store.add(transaction, project)
            return rules.data(project, (), None, False)

        return named(lambda: self._database.run(work))

    def get(self, caller: Caller, name: str) -> dict[str, Any]:
        """Return a project, also one in the trash. Raises Refusal 400 (or 403), 404."""
        with self._database.read() as transaction:
            return _shown(transaction, [find(transaction, caller, name, trashed=True)])[0]

    def place(self, caller: Caller, name: str) -> dict[str, Any]:
        """Return where a project's map lies: `lat` and `lon` of its middle in degrees or None, `sizeM` of its sides. Raises as `get`."""
        with self._database.read() as transaction:
            project = find(transaction, caller, name, trashed=True)
            return {"lat": project.lat, "lon": project.lon, "sizeM": [project.map_size_m, project.map_size_m]}

    def startable(self, caller: Caller, domain: str | None = None, *, templates: bool = False) -> list[dict[str, Any]]:
        """Return the projects that the caller may start as sessions, by name. templates: only those. Raises Refusal 400 (or 403)."""

        def wanted(project: Project) -> bool:
            return (
                project.trashed_at is None
                and project.archived_at is None
                and rules.may(caller.user, project, "READ")
                and (project.template or not templates)
            )

        return self._of_domain(domain_of(caller, domain), wanted)

    def all(self, caller: Caller, domain: str | None = None) -> list[dict[str, Any]]:
        """Return the projects that are there for the caller, by name, those in the trash included. Raises Refusal 400 (or 403)."""
        return self._of_domain(domain_of(caller, domain), lambda project: rules.sees(caller.user, project))

    def problem_of(self, name: str) -> str:
        """Say why no new project may have a name; empty when one may."""
        if not rules.is_name(name):
            return rules.NAME_WRONG
        with self._database.read() as transaction:
            found = store.by_name(transaction, name, trashed=True)
            gone = found is None or (found.trashed_at is not None and found.trashed_at < self._clock.now() - rules.TRASH_KEPT)
        return "" if gone else rules.NAME_USED

    def rename(self, caller: Caller, name: str, new: str) -> bool:
        """Give a project a new name. Raises Refusal 400 (or 403), 404, 409."""
        check_name(new)
        before = self._clock.now() - rules.TRASH_KEPT

        def change(transaction: Transaction, project: Project) -> None:
            store.remove_trashed(transaction, before, new)
            project.name = new
            transaction.flush()

        return named(lambda: self._change(caller, name, change, idle=True))

    def set_owner(self, caller: Caller, name: str, owner: str) -> bool:
        """Give a project to somebody else of its domain. owner: the name that the new owner logs in with. Raises Refusal 400, 404."""

        def change(_: Transaction, project: Project) -> None:
            itself = owner.casefold() == caller.user.email.casefold() and caller.user.domain == project.domain
            project.owner, project.owner_id = owner, caller.user.id if itself else ""

        return self._change(caller, name, change, managing=True)

    def set_trashed(self, caller: Caller, name: str, trashed: bool) -> bool:
        """Throw a project away, or take it back while it is there. Raises Refusal 400 (or 403), 404, 409."""
        now = self._clock.now()

        def change(_: Transaction, project: Project) -> None:
            project.trashed_at = (project.trashed_at or now) if trashed else None

        return self._change(caller, name, change, idle=trashed, trashed=True)

    def set_archived(self, caller: Caller, name: str, archived: bool) -> bool:
        """Put a project away, so that no session of it starts, or take it back. Raises as `set_trashed`."""
        now = self._clock.now()

        def change(_: Transaction, project: Project) -> None:
            project.archived_at = (project.archived_at or now) if archived else None

        return self._change(caller, name, change, idle=archived)

    def set_template(self, caller: Caller, name: str, template: bool) -> bool:
        """Say whether others begin their projects with this one. Raises Refusal 400 (or 403), 404."""

        def change(_: Transaction, project: Project) -> None:
            project.template = template

        return self._change(caller, name, change, managing=True)

    def set_language(self, caller: Caller, name: str, language: str, available: bool) -> bool:
        """Say whether a project has a language. Raises Refusal 400 (or 403), 404, 409."""

        def change(_: Transaction, project: Project) -> None:
            others = [one for one in project.languages if one != language]
            if not available and not others:
                raise refusals.conflict(f"{language} is the only language of the project {name!r}. Add another one first.")
            if available and language not in project.languages:
                others = [*others, language]
            elif available:
                return
            project.languages = others

        return self._change(caller, name, change)

    def set_permission(self, caller: Caller, name: str, holder: str, permission: str) -> bool:
        """Say what the owner, the domain or super users may do. Raises Refusal 400 (or 403), 404."""

        def change(_: Transaction, project: Project) -> None:
            setattr(project, f"{holder.lower()}_permission", permission)

        return self._change(caller, name, change, managing=True)

    def set_sub_domain(self, caller: Caller, name: str, sub_domain: str) -> bool:
        """Put a project into a sub-domain. Raises Refusal 400 (or 403), 404."""
        read = rules.read_sub_domain(sub_domain)
        if read is None:
            raise refusals.invalid_request("a sub-domain's name has 3 to 50 letters, digits, @ . _ and -.")

        def change(_: Transaction, project: Project) -> None:
            project.sub_domain = read

        return self._change(caller, name, change)

    def set_place(self, caller: Caller, name: str, lat: float | None, lon: float | None, size_m: int | None) -> bool:
        """Say where a project's map lies. lat, lon: None for no place on Earth. size_m: None for the size that it has.

        Stored buildings lie on the map that they were placed on: its size is fixed once a version is stored.
        Raises Refusal 400 (or 403), 404, 409.
        """
        if (lat is None) != (lon is None):
            raise refusals.invalid_request("a place has both lat and lon; leave both out for a map without a place.")

        def change(transaction: Transaction, project: Project) -> None:
            if size_m not in (None, project.map_size_m):
                if store.is_stored(transaction, project):
                    raise refusals.conflict(f"The project {name!r} has been saved: the size of its map is fixed.")
                project.map_size_m = size_m
            project.lat, project.lon = lat, lon

        return self._change(caller, name, change, idle=True)

    def set_active_version(self, caller: Caller, name: str, version: int) -> bool:
        """Say which version new sessions begin with. version: 0 for the content of a new project. Raises Refusal 400, 404, 409."""

        def change(transaction: Transaction, project: Project) -> None:
            if version != rules.BASE_VERSION and not store.has_version(transaction, project, version):
                raise refusals.no_such("version", version)
            project.active_version = version

        return self._change(caller, name, change, idle=True)

    def remove_trashed(self) -> int:
        """Remove what has been in the trash for three days; return how many. The background calls it now and then."""
        before = self._clock.now() - rules.TRASH_KEPT
        with self._database.read() as transaction:
            if not store.has_trashed(transaction, before):
                return 0
        return self._database.run(lambda transaction: store.remove_trashed(transaction, before))

    def _of_domain(self, domain: str, wanted: Callable[[Project], bool]) -> list[dict[str, Any]]:
        with self._database.read() as transaction:
            return _shown(transaction, [one for one in store.of_domain(transaction, domain) if wanted(one)])

    def _change(
        self,
        caller: Caller,
        name: str,
        change: Callable[[Transaction, Project], None],
        *,
        managing: bool = False,
        idle: bool = False,
        trashed: bool = False,
    ) -> bool:
        """Change a project that the caller may write. managing: or manage. idle: no session of it may run. trashed: also in the trash."""
        now = self._clock.now()
        allowed = rules.manages if managing else _writes

        def work(transaction: Transaction) -> bool:
            project = find(transaction, caller, name, lock=True, trashed=trashed)
            if not allowed(caller.user, project):
                raise refusals.insufficient_rights(f"you may only read the project {name!r}")
            if idle and store.is_running(transaction, project):
                raise refusals.conflict(f"The project {name!r} runs as a session. End its sessions first.")
            change(transaction, project)
            project.changed_at = now
            return True

        return self._database.run(work)


def check_name(name: str) -> None:
    """Refuse what no project may be called. Raises Refusal 400."""
    if not rules.is_name(name):
        raise refusals.invalid_request(rules.NAME_WRONG)


def new(caller: Caller, name: str, now: dt.datetime) -> Project:
    """Return a new project of the caller's, as projects begin."""
    return Project(
        name=name,
        domain=caller.user.domain,
        sub_domain="",
        owner_id=caller.user.id,
        owner=caller.user.email,
        languages=["EN"],
        detailed=False,
        owner_permission="WRITE",
        domain_permission="READ",
        support_permission="NONE",
        template=False,
        archived_at=None,
        trashed_at=None,
        map_size_m=rules.DEFAULT_MAP_M,
        lat=None,
        lon=None,
        active_version=rules.BASE_VERSION,
        created_at=now,
        changed_at=now,
    )


def named(run: Callable[[], T]) -> T:
    """Run a transaction that gives a project its name. Raises Refusal 409 for one that is taken, also by somebody at the same moment."""
    try:
        return run()
    except IntegrityError:
        raise refusals.conflict(rules.NAME_USED) from None


def _writes(user: rules.Asking, project: rules.Owned) -> bool:
    return rules.may(user, project, "WRITE")


def _shown(transaction: Transaction, projects: Iterable[Project]) -> list[dict[str, Any]]:
    found = list(projects)
    facts = store.facts(transaction, found)
    return [rules.data(one, *facts[one.id]) for one in found]
