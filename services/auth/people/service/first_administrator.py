"""The first administrator, without whom nobody could sign in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from services.auth import levels
from services.auth.audit.rules import STARTUP
from services.auth.people.rules import FIRST_DOMAIN, WEEK_S
from services.auth.people.service.domains import Domains
from services.auth.people.service.people import People
from services.common import logging as logs
from services.common.refusal import Refusal

log = logs.get(__name__)


def ensure(people: People, domains: Domains, email: str, find_password: Callable[[], str]) -> None:
    """Create the first administrator when there is no user. Safe when several processes do it at once. Raises Refusal 422."""
    if people.any():
        return
    password = find_password()
    with contextlib.suppress(Refusal):  # another process added it at the same moment
        domains.add(FIRST_DOMAIN, WEEK_S, STARTUP)
    fields = {"email": email, "full_name": "Administrator", "domain": FIRST_DOMAIN, "level": levels.SUPER_USER, "password": password}
    try:
        people.add(None, fields, STARTUP)
        log.info("first administrator created", email=email)
    except Refusal as refused:
        if refused.status != 409:
            raise
