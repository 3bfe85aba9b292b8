"""The audit, for super users: `/audit`."""

from __future__ import annotations

from typing import Any

from services.auth.audit import schemas
from services.auth.audit.rules import Filter
from services.auth.web import answers, listed, needs, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("audit", __name__)
Answer = dict[str, Any]


@blueprint.get("/audit")
@needs(super_user)
@blueprint.arguments(schemas.AuditPage, location="query")
@answers(blueprint, 200, schemas.AuditList)
def audit(asked: Answer) -> Answer:
    """Newest first."""
    super_user()
    wanted = Filter(asked.get("action"), asked.get("actor_id"), asked.get("target"), asked.get("since"), asked.get("until"))
    return listed(parts().audit.page(wanted, asked["page"], asked["per_page"]), schemas.audit_line, asked)
