"""The parameters of calls, by the name that `operations` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.gateway.operator_document.shapes import TEXT, Schema

_WORDS: Final = ("1", "true", "yes", "0", "false", "no")
_FLAG: Final = {"enum": [*_WORDS, ""]}


def _query(name: str, about: str, schema: Schema = TEXT) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": about, "schema": schema}


def _flag(name: str, about: str) -> dict[str, Any]:
    return _query(name, about, _FLAG)


PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "p": _query("p", "The page, from 0; below 0 = everything on one page", {"type": "integer", "maximum": 1000000, "default": 0}),
    "page_size": _query("page_size", "How many on a page", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}),
    "q": _query("q", "A part of the name"),
    "alias": _query("alias", "The alias of keys, whole"),
    "tag": {**_query("tag", "A tag that keys have; may be repeated", {"type": "array", "items": TEXT}), "explode": True},
    "owner": _query("owner", "The owner of keys"),
    "api_id": _query("api_id", "An API, by its `api_id`"),
    "org_id": _query("org_id", "An organisation"),
    "policy": _query("policy", "The id of a policy that keys name"),
    "filter": _query("filter", "The beginning of the id"),
    "hook_id": _query("hook_id", "A webhook"),
    "state": _query("state", "The state of deliveries", {"enum": ["pending", "delivered", "dead", ""]}),
    "all": _flag("all", "Of every webhook"),
    "listen_path": _query("listen_path", "Where the API listens; by default the title of the document"),
    "target": _query("target", "Where its requests go; by default the first server of the document"),
    "mock": _flag("mock", "Answer with the examples of the document"),
    "dry_run": _query("dry_run", "Only show what would change", {"enum": [*_WORDS]}),
    "force": _flag("force", "Also when keys name the policy; that switches them off"),
    "suppress_reset": _flag("suppress_reset", "The quota counts on"),
    "reset_quota": _flag("reset_quota", "The quota begins again"),
    "mode": _query("mode", "`detailed`: with what is to be said of each", {"enum": ["", "detailed"]}),
    "against": _query(
        "against", "The number of the revision to compare with; the one before by default", {"type": "integer", "minimum": 0}
    ),
    "who": _query("who", "The id or the name of an operator, or the stated author"),
    "kind": _query("kind", "What calls are about, such as `api` or `key`"),
    "id": _query("id", "The id of an object"),
    "since": _query("since", "From this moment on: ISO 8601, or seconds of the epoch"),
    "until": _query("until", "Up to this moment: ISO 8601, or seconds of the epoch"),
    "res": _query("res", "What one row counts", {"enum": ["hour", "day", "month"], "default": "day"}),
    "of_key": _query("key", "The public id of a key"),
    "errors": _flag("errors", "Only those that were answered with 400 or above"),
    "hashed": _flag("hashed", "The name is the SHA-256 of the secret, in hexadecimal digits"),
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The revision that the caller saw (`ETag`); another one in the meantime is 412",
        "schema": TEXT,
    },
    "X-Gatehouse-Author": {"name": "X-Gatehouse-Author", "in": "header", "description": "Who makes the change", "schema": TEXT},
    "X-Gatehouse-Note": {"name": "X-Gatehouse-Note", "in": "header", "description": "Why; it appears in the history", "schema": TEXT},
}

_DATES: Final = (("d", "day"), ("m", "month"), ("y", "year"))
# Of paths.
ABOUT: Final[Mapping[str, str]] = {
    "key": "The `id` or `api_id` of an API",
    "api_id": "The `api_id` or `id` of an API",
    "id": "The id",
    "ids": "An id, or several with commas between",
    "name": "A key: by its public id, by its secret, or by the name of a user",
    "number": "The number of the revision",
    "client_id": "The id of the client",
    "org_id": "The organisation",
    "token": "The refresh token",
    "what": "What rows count",
    "of": "The `api_id` of an API, the public id of a key, or the id of an OAuth2 client",
    **{f"{part}{place}": f"The {whole} of the {which} date" for part, whole in _DATES for place, which in ((1, "first"), (2, "last"))},
}
