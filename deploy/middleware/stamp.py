"""post, driver python: refuses large orders, and tells the upstream when a request came."""

import json
from datetime import UTC, datetime


def stamp(request, session, config):
    if request["Body"] and json.loads(request["Body"]).get("amount", 0) > config["config_data"]["most"]:
        request["ReturnOverrides"].update(ResponseCode=403, ResponseError="The order is too large")
    request["SetHeaders"]["X-Received"] = datetime.now(UTC).isoformat()
    return request
