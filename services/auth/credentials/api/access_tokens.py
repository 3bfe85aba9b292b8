"""One's own access tokens: `/me/tokens`."""

from __future__ import annotations

from typing import Any

from services.auth.credentials import schemas
from services.auth.schemas import Page
from services.auth.web import answers, caller, listed, needs, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("access_tokens", __name__)
Answer = dict[str, Any]


@blueprint.get("/me/tokens")
@needs(caller)
@blueprint.arguments(Page, location="query")
@answers(blueprint, 200, schemas.AccessTokenList)
def tokens(asked: Answer) -> Answer:
    who = caller()
    parts().last_used.flush()
    return listed(parts().access_tokens.page(who, asked["page"], asked["per_page"]), schemas.access_token, asked)


@blueprint.post("/me/tokens")
@needs(caller)
@blueprint.arguments(schemas.NewAccessToken)
@answers(blueprint, 201, schemas.AccessToken)
def new_token(given: Answer) -> Answer:
    """The answer holds the secret, this once."""
    who = caller()
    return schemas.access_token(*parts().access_tokens.add(who, given, origin(who)))


@blueprint.delete("/me/tokens/<token_id>")
@needs(caller)
@blueprint.response(204)
def remove_token(token_id: str) -> None:
    who = caller()
    parts().access_tokens.remove(who, token_id, origin(who))


@blueprint.post("/me/tokens/<token_id>/rotate")
@needs(caller)
@answers(blueprint, 200, schemas.AccessToken)
def rotate_token(token_id: str) -> Answer:
    """A new secret for the same token; the old one ends at once."""
    who = caller()
    return schemas.access_token(*parts().access_tokens.rotate(who, token_id, origin(who)))
