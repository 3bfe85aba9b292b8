"""auth_check, driver python: lets partners in by the token that they share with us, each with a limit of its own."""

from hmac import compare_digest


def partner(request, session, config):
    sent = request["Headers"].get("X-Partner-Token", [""])[0]
    for name, token in config["config_data"]["partners"].items():
        if compare_digest(sent.encode(), token.encode()):
            return {"key_id": name, "alias": name, "rate": 10, "per": 1, "meta_data": {"partner": name}}
    request["ReturnOverrides"].update(ResponseCode=401, ResponseError="Send the token of a partner in X-Partner-Token")
