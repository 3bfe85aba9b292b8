"""Which projects a user finds, and what may be done with them."""

from __future__ import annotations

from sqlalchemy.orm import Session as Transaction

from services.sessions import levels, refusals
from services.sessions.access import Caller, may
from services.sessions.models import Project
from services.sessions.projects import rules, store


def find(transaction: Transaction, caller: Caller, name: str, *, lock: bool = False, trashed: bool = False) -> Project:
    """Find a project that is there for the caller. lock, trashed: as `store.by_name`.

    Raises Refusal 404, and 400 (or 403) for one of the own domain that the caller must not read.
    """
    project = store.by_name(transaction, name, lock=lock, trashed=trashed)
    if project is None or not (rules.sees(caller.user, project) or project.domain == caller.user.domain):
        raise refusals.no_such("project", name)
    if not rules.sees(caller.user, project):
        raise refusals.insufficient_rights()
    return project


def domain_of(caller: Caller, asked: str | None) -> str:
    """Return whose projects or users are asked for: of the own domain, for super users of any. Raises Refusal 400 (or 403)."""
    if asked and asked != caller.user.domain and not may(caller, levels.SUPER_USER):
        raise refusals.insufficient_rights("another domain needs SUPER_USER")
    return asked or caller.user.domain
