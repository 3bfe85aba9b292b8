"""When a record holds: `[t1, t2]`, two moments in ISO 8601."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

from services.mobility import moments, refusals

Validity: TypeAlias = tuple[dt.datetime | None, dt.datetime | None]


def read(given: object, cdk_id: str, where: Mapping[str, Any]) -> Validity:
    """Check a validity; a moment without a zone is in UTC. cdk_id: of the node, for the message. Raises Refusal 422."""
    if given is None:
        return None, None
    if isinstance(given, list) and len(given) == 2:
        begins, ends = map(moments.read, given)
        if begins is not None and ends is not None and begins < ends:
            return begins, ends
    raise refusals.invalid(
        f"Object with cdk_id={cdk_id} submitted with incorrect validity field, "
        "must be array with two datetime values, with value 1 < value 2",
        "validity-invalid",
        where,
    )
