"""Actions, as their account manages them: `/action`."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.devices.actions import schemas
from services.devices.actions.service.listing import COLUMNS
from services.devices.schemas import Failure
from services.devices.web import Blueprint, answer, caller, needs, parts, query_of_list, query_pairs

blueprint = Blueprint("actions", __name__, description="Webhooks that fire when records meet conditions.")
_LIST = query_of_list("Actions", COLUMNS, "id", "name", "active", "type", "tags][0][key", "tags][0][value", "created_at", "updated_at")


@blueprint.post("/action")
@needs("write", "account")
@blueprint.arguments(schemas.NewAction())
@blueprint.response(201, schemas.CreatedAnswer)
@blueprint.alt_response(400, schema=Failure, description="`Error on Body parameters`, or the account has too many actions.")
def create(given: dict[str, Any]) -> Response:
    """Create an action. The secret that signs its calls is shown this once."""
    made = parts().actions.create(caller(), given)
    return answer({"action": made.id, "secret": made.secret}, 201)


@blueprint.get("/action")
@needs("read", "account")
@blueprint.response(200, schemas.ActionsAnswer)
@blueprint.alt_response(400, schema=Failure, description="`Error on Query String parameters`")
@blueprint.doc(parameters=_LIST)
def list_actions() -> Response:
    """List actions."""
    return answer(parts().actions.page(caller(), query_pairs()))


@blueprint.get("/action/<action_id>")
@needs("read", "account")
@blueprint.response(200, schemas.ActionAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`")
def show(action_id: str) -> Response:
    """Show an action."""
    return answer(parts().actions.get(caller(), action_id))


@blueprint.put("/action/<action_id>")
@needs("write", "account")
@blueprint.arguments(schemas.EditedAction())
@blueprint.response(200, schemas.Edited)
@blueprint.alt_response(400, schema=Failure, description="`Error on Body parameters`")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`")
def edit(given: dict[str, Any], action_id: str) -> Response:
    """Change what is given of an action. `lock` locks or frees it for all devices."""
    parts().actions.edit(caller(), action_id, given)
    return answer("Successfully Updated")


@blueprint.delete("/action/<action_id>")
@needs("write", "account")
@blueprint.response(200, schemas.Removed)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`")
def delete(action_id: str) -> Response:
    """Delete an action with its calls, also those that are not made yet."""
    parts().actions.delete(caller(), action_id)
    return answer("Successfully Removed")


@blueprint.post("/action/<action_id>/secret")
@needs("write", "account")
@blueprint.response(201, schemas.SecretAnswer)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`")
def renew_secret(action_id: str) -> Response:
    """Give an action a new secret, which signs its calls from now on."""
    return answer({"secret": parts().actions.renew_secret(caller(), action_id)}, 201)


@blueprint.get("/action/<action_id>/deliveries")
@needs("read", "account")
@blueprint.arguments(schemas.DeliveryQuery(), location="query")
@blueprint.response(200, schemas.DeliveriesAnswer)
@blueprint.alt_response(400, schema=Failure, description="`Error on Query String parameters`")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`")
def deliveries(asked: dict[str, Any], action_id: str) -> Response:
    """List the calls of an action, the newest first: which wait, which came through, which were given up and why."""
    return answer(parts().actions.deliveries(caller(), action_id, asked.get("state"), asked["page"], asked["amount"]))


@blueprint.post("/action/<action_id>/deliveries/<delivery_id>/replay")
@needs("write", "account")
@blueprint.response(200, schemas.Scheduled)
@blueprint.alt_response(404, schema=Failure, description="`Invalid Action ID`, `Invalid Delivery ID`")
def replay(action_id: str, delivery_id: str) -> Response:
    """Make a call again, with the same `webhook-id`."""
    parts().actions.replay(caller(), action_id, delivery_id)
    return answer("Delivery Scheduled")
