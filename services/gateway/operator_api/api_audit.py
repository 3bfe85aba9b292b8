"""`/api/gatehouse/audit`: who changed what, and which attempts were refused."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from services.common.clock import isoformat
from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, pages
from services.gateway.operator_api.web import gateway
from services.gateway.stores.audit import Chosen

blueprint = protected("audit", __name__)


@blueprint.get("/api/gatehouse/audit")
def list_records() -> Response:
    """`?who=&kind=&id=&since=&until=&p=&page_size=`: the newest first; `p` counts from zero."""
    number, size = arguments.page()
    given = request.args
    chosen = Chosen(given.get("who", ""), given.get("kind", ""), given.get("id", ""), arguments.moment("since"), arguments.moment("until"))
    found, total = gateway().audit.page(chosen, max(number, 0), size)
    return answer({"records": [_shown(record) for record in found], "pages": pages(total, max(number, 0), size), "total": total})


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record; `before` and `after` are null where there was nothing, and in what was refused."""
    return {**record, "at": isoformat(record["at"])}
