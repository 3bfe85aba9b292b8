"""Role tokens, for super users: `/role-tokens`."""

from __future__ import annotations

from typing import Any

from services.auth.credentials import schemas
from services.auth.web import answers, listed, needs, origin, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("role_tokens", __name__)
Answer = dict[str, Any]


@blueprint.get("/role-tokens")
@needs(super_user)
@blueprint.arguments(schemas.SubjectPage, location="query")
@answers(blueprint, 200, schemas.RoleTokenList)
def role_tokens(asked: Answer) -> Answer:
    """Those not revoked, and the cut-offs."""
    super_user()
    found = parts().role_tokens.page(asked.get("subject"), asked["page"], asked["per_page"])
    return {**listed(found, schemas.role_token, asked), "cut_offs": [schemas.cut_off(one) for one in parts().role_tokens.cut_offs()]}


@blueprint.post("/role-tokens")
@needs(super_user)
@blueprint.arguments(schemas.NewRoleToken)
@answers(blueprint, 201, schemas.RoleToken)
def new_role_token(given: Answer) -> Answer:
    """The answer holds the token, this once."""
    who = super_user()
    return schemas.role_token(
        *parts().role_tokens.issue(given["subject"], given["label"], given.get("expires_in"), given.get("not_before"), origin(who), who)
    )


@blueprint.delete("/role-tokens/<jti>")
@needs(super_user)
@blueprint.response(204)
def revoke_role_token(jti: str) -> None:
    parts().role_tokens.revoke(jti, origin(super_user()))


@blueprint.put("/role-tokens/cut-off/<subject>")
@needs(super_user)
@blueprint.arguments(schemas.CutOff)
@answers(blueprint, 200, schemas.SubjectCutOff)
def cut_off(given: Answer, subject: str) -> Answer:
    """Tokens of the subject that were issued earlier are refused."""
    who = super_user()
    return schemas.cut_off(parts().role_tokens.cut_off(subject, given["cut_off"], origin(who), who))
