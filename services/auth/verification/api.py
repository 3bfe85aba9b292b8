"""What a credential is worth, for the neighbours: `/verify/*`."""

from __future__ import annotations

import dataclasses
from typing import Any

from flask import g

from services.auth import refusals
from services.auth.schemas import REFUSED, moment
from services.auth.verification import schemas
from services.auth.verification.service import Service
from services.auth.web import answers, basic, needs, origin, parts, quick_arguments
from services.common.documented import Blueprint

blueprint = Blueprint("verify", __name__)
Answer = dict[str, Any]


def service() -> Service:
    """Return the neighbour that asks, by its client credentials (Basic), looked up once a request. Raises Refusal 401."""
    if "service" not in g:
        g.service = parts().verifier.service(*_pair())
    found: Service | None = g.service
    if found is None:
        raise refusals.not_a_service()
    return found


def _pair() -> tuple[str, str]:
    """Return the credentials of the header. Raises Refusal 401 when there are none."""
    pair = basic()
    if pair is None:
        raise refusals.not_a_service()
    return pair


@blueprint.post("/verify/basic")
@needs(service)
@quick_arguments(blueprint, schemas.Basic, otherwise=service)
@answers(blueprint, 200, schemas.VerifiedUser)
@blueprint.alt_response(401, schema=REFUSED, description="invalid credentials, or the login key has expired")
def verify_basic(given: Answer) -> Answer:
    """User and password or login key → the user, and which of the two it was."""
    asking = service()
    address = given.get("address")
    place = dataclasses.replace(origin(), actor=asking.name, actor_id=asking.id, address=str(address) if address else None)
    proven = parts().sign_in.check(given["username"], given["password"], place)
    return {**schemas.known_user(proven.user), "credential": proven.method, "expires_at": moment(proven.ends)}


@blueprint.post("/verify/token")
@needs(_pair)
@quick_arguments(blueprint, schemas.TokenToVerify, otherwise=service)
@answers(blueprint, 200, schemas.VerifiedToken)
@blueprint.alt_response(401, schema=REFUSED, description="why the token is worth nothing")
def verify_token(given: Answer) -> Answer:
    """Any token of the house → its kind, user, permission, policy, end."""
    verified = parts().verifier.token_for(*_pair(), given["token"])  # one statement judges the service and the token
    if verified is None:
        raise refusals.not_a_service()
    return schemas.verified_token(verified)


@blueprint.post("/verify/user")
@needs(_pair)
@quick_arguments(blueprint, schemas.UserToVerify, otherwise=service)
@answers(blueprint, 200, schemas.KnownUser)
@blueprint.alt_response(401, schema=REFUSED, description="there is no such user, or it is disabled")
def verify_user(given: Answer) -> Answer:
    """The id of a user → the user as it is now, for services whose own credentials stand for one."""
    person = parts().verifier.user_for(*_pair(), given["id"])  # one statement judges the service and the user
    if person is None:
        raise refusals.not_a_service()
    return schemas.known_user(person)
