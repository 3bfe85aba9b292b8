"""Signing keys, for super users: `/signing-keys`."""

from __future__ import annotations

from typing import Any

from services.auth.signing import schemas
from services.auth.web import answers, needs, origin, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("signing_keys", __name__)
Answer = dict[str, Any]


@blueprint.get("/signing-keys")
@needs(super_user)
@answers(blueprint, 200, schemas.SigningKeyList)
def signing_keys() -> Answer:
    super_user()
    found = [schemas.signing_key(*one) for one in parts().keys.all_keys()]
    return {"items": found, "total": len(found), "page": 1, "per_page": max(1, len(found))}


@blueprint.post("/signing-keys/rotate")
@needs(super_user)
@blueprint.arguments(schemas.Rotation, required=False)
@answers(blueprint, 201, schemas.SigningKey)
def rotate(given: Answer) -> Answer:
    """A new key signs from now on; the old one stays published until the last token that it signed has expired."""
    key = parts().keys.rotate(given["algorithm"], origin(super_user()))
    return schemas.signing_key(key, True)
