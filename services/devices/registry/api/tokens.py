"""The tokens of devices: `/device/token`."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.registry import schemas
from services.devices.registry.api import shown
from services.devices.registry.rules import listing
from services.devices.registry.service.tokens import COLUMNS
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts, query_of_list, query_pairs, secret_path

blueprint = Blueprint("device_tokens", __name__, description="The tokens of devices.")

_LIST = query_of_list("Tokens", COLUMNS, "id", "name", "permission", "serie_number", "created_at")


@blueprint.post("/device/token")
@needs("write", "account", "analysis")
@blueprint.arguments(schemas.NewToken())
@blueprint.response(201, schemas.TokenAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.alt_response(409, schema=Failure, description="The serial number is taken.")
def create(given: dict[str, Any]) -> Response:
    """Create a token of a device. It is shown in this answer alone."""
    return answer(shown.made(parts().device_tokens.create(caller(), given)), 201)


@blueprint.get("/device/token/<key>")
@secret_path
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.TokenList)
@blueprint.alt_response(400, schema=Failure, description="`Error on Query String parameters`")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.doc(parameters=_LIST)
def tokens(key: str) -> Response:
    """The tokens of the device of this id, without the tokens themselves."""
    found, fields = parts().device_tokens.page(caller(), key, query_pairs())
    return answer([listing.show(shown.token(one, key), fields) for one in found])


@blueprint.delete("/device/token/<key>")
@secret_path
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.TokenRemoved)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device Token`")
def remove(key: str) -> Response:
    """Remove a token, by itself or by its id."""
    parts().device_tokens.remove(caller(), key)
    return answer("Token Successfully Removed")


@blueprint.post("/device/token/<key>/rotate")
@secret_path
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.TokenAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device Token`")
def rotate(key: str) -> Response:
    """Draw a new token in the place of one, named by itself or by its id. The old one ends at once; name, permission and end stay."""
    return answer(shown.made(parts().device_tokens.rotate(caller(), key)))
