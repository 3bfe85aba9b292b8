"""Defaults of users and domains, and which users a list holds."""

from __future__ import annotations

from dataclasses import dataclass

WEEK_S = 7 * 24 * 3600  # lifetime of a login key where the domain does not say another
FIRST_DOMAIN = "gatehouse"  # where the first administrator is


@dataclass(frozen=True, slots=True)
class Filter:
    """Which users a list holds. text: part of the e-mail or the full name, case-blind."""

    domain: str | None = None
    level: str | None = None
    active: bool | None = None
    text: str | None = None
