"""The schemas of what calls read: the fields that matter, and open. Other fields are Tyk's, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.gateway.operator_document.shapes import FLAG, NUMBER, OBJECT, TEXT, TEXTS, WHOLE, Schema, opened, ref

_PERCENT: Final = {"type": "number", "exclusiveMinimum": 0, "maximum": 100}

TAKEN: Final[Mapping[str, Schema]] = {
    "Definition": opened(
        {
            "name": TEXT,
            "api_id": TEXT,
            "org_id": TEXT,
            "active": FLAG,
            "use_keyless": FLAG,
            "auth": OBJECT,
            "definition": OBJECT,
            "version_data": opened({"not_versioned": FLAG, "versions": OBJECT}),
            "proxy": opened({"listen_path": TEXT, "target_url": TEXT, "strip_listen_path": FLAG}),
        },
        about="A definition in Tyk's format. Its fields are described in docs/definitions.md; unknown ones are kept.",
    ),
    "DefinitionBody": opened(
        {"api_definition": ref("Definition"), "hook_references": {"type": "array"}},
        ("api_definition",),
        "A definition and the webhooks that its events call.",
    ),
    "LintBody": {
        "description": "A definition, alone or as `api_definition`.",
        "anyOf": [ref("DefinitionBody"), ref("Definition")],
    },
    "OpenAPI": opened({"openapi": TEXT, "info": OBJECT, "paths": OBJECT}, ("openapi", "info", "paths"), "An OpenAPI document."),
    "Session": opened(
        {
            "alias": TEXT,
            "owner": TEXT,
            "tags": TEXTS,
            "org_id": TEXT,
            "rate": NUMBER,
            "per": NUMBER,
            "quota_max": WHOLE,
            "quota_renewal_rate": NUMBER,
            "expires": NUMBER,
            "is_inactive": FLAG,
            "apply_policies": TEXTS,
            "access_rights": {"type": "object", "additionalProperties": opened({"api_id": TEXT, "api_name": TEXT, "versions": TEXTS})},
            "basic_auth_data": opened({"password": TEXT}),
            "hmac_enabled": FLAG,
            "certificate": TEXT,
            "monitor": opened({"trigger_limits": {"type": "array", "items": _PERCENT}}),
        },
        about="A key in Tyk's format (a session object). Unknown fields are kept.",
    ),
    "Policy": opened(
        {
            "id": TEXT,
            "name": TEXT,
            "org_id": TEXT,
            "active": FLAG,
            "rate": NUMBER,
            "per": NUMBER,
            "quota_max": WHOLE,
            "quota_renewal_rate": NUMBER,
            "key_expires_in": WHOLE,
            "access_rights": OBJECT,
            "partitions": OBJECT,
            "tags": TEXTS,
        },
        about="A policy in Tyk's format. Unknown fields are kept.",
    ),
    "Hook": opened(
        {
            "name": TEXT,
            "org_id": TEXT,
            "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
            "target_path": TEXT,
            "template_path": TEXT,
            "header_map": {"type": "object", "additionalProperties": TEXT},
            "event_timeout": WHOLE,
            "secret": {**TEXT, "writeOnly": True, "description": "Signs the calls; it is never shown"},
        },
        ("method", "target_path"),
        "A webhook in Tyk's format.",
    ),
    "Organisation": opened(
        {"org_id": TEXT, "rate": NUMBER, "per": NUMBER, "quota_max": WHOLE, "quota_renewal_rate": NUMBER, "is_inactive": FLAG},
        about="The session object of an organisation.",
    ),
    "OAuthClient": opened(
        {
            "client_id": TEXT,
            "secret": TEXT,
            "api_id": TEXT,
            "redirect_uri": TEXT,
            "redirect_uris": TEXTS,
            "policy_id": TEXT,
            "description": TEXT,
            "meta_data": OBJECT,
        },
        about="A client of OAuth2. An id and a secret that are left out are random.",
    ),
    "User": opened(
        {
            "email_address": TEXT,
            "first_name": TEXT,
            "last_name": TEXT,
            "role": {"enum": ["reader", "editor", "admin"]},
            "active": FLAG,
            "org_id": {**TEXT, "description": "Whose objects the operator sees; empty: those of all"},
        },
        about="An operator.",
    ),
    "Rotation": opened(
        {"overlap": {"type": "number", "minimum": 0, "maximum": 7776000, "description": "Seconds that the present secret still works"}}
    ),
    "Revocation": opened({"ids": {**TEXTS, "minItems": 1, "maxItems": 1000}}, ("ids",)),
    "AuthorizeClient": opened(
        {"response_type": TEXT, "client_id": TEXT, "redirect_uri": TEXT, "key_rules": TEXT, "state": TEXT},
        ("client_id",),
        "The parameters of the client's request, with the key that its user gets (JSON) as `key_rules`.",
    ),
}
