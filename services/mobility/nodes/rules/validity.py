"""When a record holds: `[t1, t2]`, two moments in ISO 8601."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

from services.mobility import refusals

Validity: TypeAlias = tuple[dt.datetime | None, dt.datetime | None]


def read(given: object, cdk_id: str, where: Mapping[str, Any]) -> Validity:
    """Check a validity; a moment without a zone is in UTC. cdk_id: of the node, for the message. Raises Refusal 422."""
    if given is None:
        return None, None
    if isinstance(given, list) and len(given) == 2:
        begins, ends = (_moment(one) for one in given)
        if begins is not None and ends is not None and begins < ends:
            return begins, ends
    raise refusals.invalid(
        f"Object with cdk_id={cdk_id} submitted with incorrect validity field, "
        "must be array with two datetime values, with value 1 < value 2",
        "validity-invalid",
        where,
    )


def _moment(given: object) -> dt.datetime | None:
    """Read a moment; None when it is none. The first and the last year that Python knows are left out: in another zone they are not."""
    if not isinstance(given, str):
        return None
    try:
        found = dt.datetime.fromisoformat(given)
    except ValueError:
        return None
    if not dt.MINYEAR < found.year < dt.MAXYEAR:
        return None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
