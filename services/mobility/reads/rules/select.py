"""What can be selected from a node, by its type. No framework."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final

from services.mobility import paging, refusals
from services.mobility.paging import Page
from services.mobility.reads.rules.queries import Query

_NODE: Final = ("regions", "routes", "routes_start", "routes_end")
_ROUTE: Final = ("nodes", "routes", "start_end")
COMMANDS: Final = {
    "node": _NODE,
    "route": _ROUTE,
    "ptstop": (*_NODE, "ptlines", "schedule", "now"),
    "ptline": (*_ROUTE, "ptstops", "schedule"),
}
ROUTES: Final = ("route", "ptline")  # types of nodes that have members
TIMETABLES: Final = ("schedule", "now")
_WHOLE: Final = ("regions", "ptlines", "ptstops", "start_end")  # lists that the original does not page
DAYS_MOST: Final = 366  # from today, of a line's schedule


def check(node_type: str, command: str) -> None:
    """Check that a command exists for nodes of this type. Raises Refusal 422."""
    if command not in COMMANDS[node_type]:
        raise refusals.invalid(f"Command {command} not defined for this node type.", "command-not-defined")


def whole(query: Query, command: str, per_page: str | None) -> Query:
    """Let a list that the original does not page have the longest page, unless the client gives a size."""
    if command not in _WHOLE or per_page is not None:
        return query
    return dataclasses.replace(query, page=Page(query.page.number, paging.MOST))


def day(given: str | None) -> int:
    """Read the number of days from today. Raises Refusal 422."""
    if given is None:
        return 0
    if not re.fullmatch(r"\d{1,3}", given, re.ASCII) or int(given) > DAYS_MOST:
        raise refusals.invalid(f"Wrong value for parameter 'day': must be an integer from 0 to {DAYS_MOST}.", "day-invalid")
    return int(given)


def level(data: dict[str, Any]) -> float:
    """Return the administrative level that a record of admr says, for sorting; a region without one comes after all others."""
    try:
        found = float(data.get("admn_level", ""))
    except (TypeError, ValueError, OverflowError):
        return float("-inf")
    return found if found == found else float("-inf")
