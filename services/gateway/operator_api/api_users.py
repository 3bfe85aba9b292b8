"""`/api/users`: the operators, as Tyk's Dashboard shows its users.

An access key is in the answer that creates it, as `access_key`, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from services.common.clock import isoformat
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages
from services.gateway.operator_api.changes import operators
from services.gateway.operator_api.web import gateway
from services.gateway.stores.operators import Operator

blueprint = protected("users", __name__)


@blueprint.get("/api/users")
def list_users() -> Response:
    number, size = arguments.page()
    found, total = gateway().operators.page(number, size)
    return answer({"users": [_shown(operator) for operator in found], "pages": pages(total, number, size)})


@blueprint.get("/api/users/<id>")
def get_user(id: str) -> Response:
    return answer(_shown(operators.existing(gateway(), id)))


@blueprint.post("/api/users")
def create_user() -> Response:
    operator, key = operators.create(gateway(), arguments.body("operator"))
    return _with_key("User created", operator, key)


@blueprint.put("/api/users/<id>")
def update_user(id: str) -> Response:
    operators.update(gateway(), id, arguments.body("operator"))
    return done("User updated")


@blueprint.delete("/api/users/<id>")
def delete_user(id: str) -> Response:
    operators.delete(gateway(), id)
    return done("User deleted")


@blueprint.post("/api/users/<id>/rotate")
def rotate_key(id: str) -> Response:
    """Body (optional): `{"overlap": seconds}` for which the present access key still works; a day by default."""
    operator, key = operators.rotate(gateway(), id, arguments.overlap())
    return _with_key("Access key created", operator, key)


@blueprint.post("/api/users/<id>/actions/reset")
def reset_password(id: str) -> Response:
    """Refuse: Tyk changes a password here."""
    operators.existing(gateway(), id)
    raise refusals.no_passwords()


def _shown(operator: Operator) -> dict[str, Any]:
    return {
        "api_model": {},
        **operator.document(),
        "created_at": isoformat(operator.created_at),
        "updated_at": isoformat(operator.updated_at),
    }


def _with_key(message: str, operator: Operator, key: str) -> Response:
    """Answer with the access key: no cache may keep it."""
    return done(message, operator.id, headers={"Cache-Control": "no-store"}, access_key=key)
