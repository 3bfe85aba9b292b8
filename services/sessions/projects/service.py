"""What users do with projects."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from services.common.clock import Clock
from services.common.database import Database
from services.sessions import refusals
from services.sessions.access import Caller
from services.sessions.models import Project
from services.sessions.projects import rules, store


class Projects:
    """What users do with projects. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, caller: Caller, name: str, language: str | None, detailed: bool | None) -> dict[str, Any]:
        """Create a project of the caller's. Raises Refusal 400, 409."""
        if not rules.is_name(name):
            raise refusals.invalid_request("a project's name has 3 to 20 small letters, digits, _ and -.")
        now = self._clock.now()

        def work(transaction: Transaction) -> dict[str, Any]:
            project = Project(
                name=name,
                domain=caller.user.domain,
                sub_domain="",
                owner_id=caller.user.id,
                owner=caller.user.email,
                language=language or "EN",
                detailed=bool(detailed),
                domain_permission="READ",
                support_permission="NONE",
                template=False,
                archived=False,
                trashed_at=None,
                map_size_m=rules.DEFAULT_MAP_M,
                lat=None,
                lon=None,
                active_version=0,
                created_at=now,
                changed_at=now,
            )
            store.add(transaction, project)
            transaction.flush()
            return {"fileName": project.name, "name": project.name, "owner": project.owner, "domain": project.domain}

        try:
            return self._database.run(work)
        except IntegrityError:
            raise refusals.conflict("Project name is already used, please select another one.") from None
