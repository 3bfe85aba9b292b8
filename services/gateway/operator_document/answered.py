"""The schemas of what calls answer, described whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.gateway.operator_document.shapes import (
    ANYTHING,
    FLAG,
    MOMENT,
    NUMBER,
    OBJECT,
    PAGES,
    TEXT,
    TEXTS,
    WHOLE,
    Schema,
    changed,
    closed,
    done,
    listed,
    maybe,
    opened,
    page,
    ref,
)

_DELIVERY: Final[Mapping[str, Schema]] = {
    "id": TEXT,
    "hook_id": TEXT,
    "event": TEXT,
    "api_id": TEXT,
    "method": TEXT,
    "url": {**TEXT, "description": "Without its query"},
    "state": {"enum": ["pending", "delivered", "dead"]},
    "attempts": WHOLE,
    "created_at": MOMENT,
    "next_at": maybe(MOMENT),
    "ended_at": maybe(MOMENT),
    "last_status": maybe(WHOLE),
    "last_error": maybe(TEXT),
}
_CLIENT: Final[Mapping[str, Schema]] = {
    "client_id": TEXT,
    "api_id": TEXT,
    "redirect_uri": TEXT,
    "redirect_uris": TEXTS,
    "policy_id": TEXT,
    "description": TEXT,
    "meta_data": ANYTHING,
}
_CERTIFICATE: Final[Mapping[str, Schema]] = {
    "id": TEXT,
    "dns_names": TEXTS,
    "has_private": FLAG,
    "not_before": MOMENT,
    "not_after": MOMENT,
    "is_ca": FLAG,
}
_CHANGE: Final[Mapping[str, Schema]] = {
    "pointer": TEXT,
    "kind": {"enum": ["added", "removed", "changed"]},
    "before": ANYTHING,
    "after": ANYTHING,
}
_REVISION: Final[Mapping[str, Schema]] = {
    "id": TEXT,
    "api_id": TEXT,
    "number": WHOLE,
    "action": TEXT,
    "to": maybe({"type": "integer", "description": "Of an undo, redo or restore: the revision whose content came back"}),
    "at": MOMENT,
    "who": TEXT,
    "note": TEXT,
}
_CERTIFICATE_ANSWER: Final = ({"status": {"const": "ok"}, "message": TEXT}, {"unconfirmed": ref("Workers"), "warnings": TEXTS})
_AUDITED: Final = closed(
    {
        "id": WHOLE,
        "at": MOMENT,
        **dict.fromkeys(("operator_id", "operator", "author", "note", "address", "org_id", "method", "route", "kind", "item"), TEXT),
        "before": {**ANYTHING, "description": "null where there was nothing, and in what was refused"},
        "after": ANYTHING,
        "result": TEXT,
        "status": WHOLE,
        "request_id": TEXT,
    }
)
_COUNTED_BY: Final = {
    **closed(
        {
            **dict.fromkeys(("hour", "day", "month", "year", "code"), WHOLE),
            **dict.fromkeys(("api_id", "api_name", "version", "path", "key", "alias", "oauth_id"), TEXT),
        }
    ),
    "description": "What a row is not counted by is 0 or empty",
}
_RECORD: Final = closed(
    {
        **dict.fromkeys(("Method", "Path", "RawPath", "UserAgent", "APIKey", "APIVersion", "APIName", "APIID", "OrgID", "OauthID"), TEXT),
        **dict.fromkeys(("ContentLength", "Day", "Month", "Year", "Hour", "ResponseCode"), WHOLE),
        **dict.fromkeys(("RawRequest", "Alias"), TEXT),
        **dict.fromkeys(("TimeStamp", "ExpireAt"), MOMENT),
        "RequestTime": {**NUMBER, "description": "Milliseconds"},
        "Tags": TEXTS,
    }
)
_API: Final = closed(
    {"api_model": OBJECT, "api_definition": ref("Definition"), "hook_references": {"type": "array"}}, {"mistakes": listed("Place")}
)

ANSWERED: Final[Mapping[str, Schema]] = {
    "Place": {**closed({"pointer": TEXT, "message": TEXT}), "description": "What is wrong or doubtful, and where (RFC 6901)."},
    "Workers": {**TEXTS, "description": "Workers that did not confirm in time that they have the change. They get it within seconds."},
    "ApiError": {
        **closed(
            {"Status": {"const": "Error"}, "Message": TEXT, "Meta": {"type": "null"}, "Code": TEXT, "RequestId": TEXT},
            {"Errors": listed("Place"), "Warnings": listed("Place")},
        ),
        "description": "An error below `/api/`. `Code` is stable and meant for programs; `Message` is meant for people.",
    },
    "TykError": {
        **closed(
            {"status": {"const": "error"}, "message": TEXT, "error": TEXT, "code": TEXT, "request_id": TEXT},
            {"errors": listed("Place"), "warnings": listed("Place")},
        ),
        "description": "An error below `/tyk/`. `code` is stable and meant for programs; `message` and `error` are the same text.",
    },
    "Error": {
        **opened({"error": TEXT, "code": TEXT, "request_id": TEXT}, ("error", "code", "request_id")),
        "description": "An error elsewhere, and of a request that the port refuses before a call sees it.",
    },
    "OAuthError": {**opened({"error": TEXT, "error_description": TEXT}, ("error",)), "description": "An error of RFC 6749, 5.2."},
    "Api": _API,
    "Apis": page("apis", ref("Api")),
    "ApiSaved": done(
        optional={
            "Unchanged": {"const": True},
            "DryRun": {"const": True},
            "diff": {**TEXT, "description": "Of a dry run: what would change"},
        }
    ),
    "ApiImported": done(optional={"DryRun": {"const": True}}, required={"Notes": listed("Place"), "api_definition": ref("Definition")}),
    "Done": done(),
    "Definitions": listed("Definition"),
    "TykApiSaved": changed(["added", "modified"], {"unchanged": {"const": True}}),
    "TykSaved": changed(["added", "modified"]),
    "TykDeleted": changed(["deleted"]),
    "TykPurged": closed({"status": {"const": "ok"}, "message": TEXT}),
    "TykReload": closed({"status": {"const": "ok"}, "message": TEXT}, {"unconfirmed": ref("Workers")}),
    "Linted": closed({"valid": FLAG, "mistakes": listed("Place"), "warnings": listed("Place")}),
    "KeyRow": closed(
        {
            "id": TEXT,
            "alias": TEXT,
            "owner": TEXT,
            "tags": TEXTS,
            "org_id": TEXT,
            "user_name": maybe(TEXT),
            "apis": TEXTS,
            "policies": TEXTS,
            "effective": {**OBJECT, "description": "What counts, since policies take the place of what the key says itself"},
            "is_inactive": FLAG,
            "expires": NUMBER,
            "secrets": WHOLE,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "last_used_at": maybe(MOMENT),
        }
    ),
    "Keys": closed({"data": closed({"keys": TEXTS, "details": listed("KeyRow")}), "pages": PAGES}),
    "Key": closed({"api_model": OBJECT, "key_id": TEXT, "data": ref("Session"), "details": ref("KeyRow")}),
    "KeyCreated": {
        **closed({"api_model": OBJECT, "key_id": TEXT, "id": TEXT, "data": ref("Session")}, {"Unconfirmed": ref("Workers")}),
        "description": "`key_id` is the secret, which no other answer shows; `id` is the public id.",
    },
    "KeyUpdated": done({"anyOf": [TEXT, closed({"hmac_string": TEXT})]}),
    "KeysRevoked": done(TEXTS),
    "TykKeys": closed({"keys": TEXTS}),
    "TykKeySaved": changed(["added", "modified"], {"hmac_string": TEXT}, {"key_hash": TEXT}),
    "HookShown": opened({"api_model": OBJECT, "id": TEXT, "name": TEXT, "org_id": TEXT, "signed": FLAG}, ("api_model", "id")),
    "Hooks": page("hooks", ref("HookShown")),
    "Delivery": closed(_DELIVERY),
    "DeliveryWithBody": closed({**_DELIVERY, "body": TEXT}),
    "Deliveries": page("deliveries", ref("Delivery"), {"total": WHOLE}),
    "Replayed": done(WHOLE),
    "PolicyShown": opened({"_id": TEXT, "id": TEXT, "org_id": TEXT}, ("_id", "id")),
    "Policies": closed({"Data": listed("PolicyShown"), "Pages": PAGES}),
    "TykPolicies": listed("Policy"),
    "CertificateRow": closed({**_CERTIFICATE, "issuer_cn": TEXT, "subject_cn": TEXT}),
    "Certificate": closed({**_CERTIFICATE, "fingerprint": TEXT, "issuer": OBJECT, "subject": OBJECT}),
    "CertificateNamed": {"anyOf": [ref("Certificate"), {"type": "array", "items": {"anyOf": [ref("Certificate"), {"type": "null"}]}}]},
    "Certificates": page("certs", {"anyOf": [TEXT, ref("CertificateRow")]}),
    "TykCertificates": closed({"certs": {"type": "array", "items": {"anyOf": [TEXT, ref("CertificateRow")]}}}),
    "CertificateAdded": closed({"id": TEXT, **_CERTIFICATE_ANSWER[0]}, _CERTIFICATE_ANSWER[1]),
    "CertificateDeleted": closed(*_CERTIFICATE_ANSWER),
    "Client": closed(_CLIENT),
    "ClientCreated": closed({**_CLIENT, "secret": {**TEXT, "description": "No other answer shows it"}}),
    "Clients": page("apps", ref("Client")),
    "TykClients": listed("Client"),
    "Tokens": {"type": "array", "items": closed({"code": {**TEXT, "description": "The public id of the token's key"}, "expires": WHOLE})},
    "Authorized": opened({"code": TEXT, "redirect_to": TEXT}, ("redirect_to",)),
    "OrganisationIds": closed({"keys": TEXTS}),
    "Revision": closed(_REVISION),
    "Revisions": closed({"revisions": listed("Revision")}),
    "RevisionShown": closed(
        {
            **_REVISION,
            "against": maybe(WHOLE),
            "document": maybe({"type": "object"}),
            "changes": {
                "type": "array",
                "items": closed(_CHANGE),
            },
            "diff": TEXT,
        }
    ),
    "Stepped": done(
        optional={"Unchanged": {"const": True}, "DryRun": {"const": True}},
        required={"from": maybe(WHOLE), "to": WHOLE, "revision": maybe(WHOLE), "diff": TEXT},
    ),
    "WorkersShown": closed(
        {
            "workers": {**maybe({"type": "array"}), "items": TEXT, "description": "null: Valkey is away, and only it knows"},
            "number": WHOLE,
            "generation": WHOLE,
            "apis": {"type": "object", "additionalProperties": WHOLE},
            "broken": {"type": "object", "additionalProperties": listed("Place")},
        }
    ),
    "UserShown": closed(
        {
            "api_model": OBJECT,
            "id": TEXT,
            "org_id": TEXT,
            "role": {"enum": ["reader", "editor", "admin"]},
            "active": FLAG,
            "first_name": TEXT,
            "last_name": TEXT,
            "email_address": TEXT,
            "created_at": MOMENT,
            "updated_at": MOMENT,
        }
    ),
    "Users": page("users", ref("UserShown")),
    "AccessKey": done(required={"access_key": {**TEXT, "description": "No other answer shows it"}}),
    "AuditRecords": page("records", _AUDITED, {"total": WHOLE}),
    "Activity": page(
        "data",
        closed(
            {
                "id": _COUNTED_BY,
                "hits": WHOLE,
                "success": WHOLE,
                "error": WHOLE,
                "request_time": {**NUMBER, "description": "Of one request on average, in milliseconds"},
                "total_request_time": NUMBER,
                "last_hit": MOMENT,
            }
        ),
        {"total": WHOLE, "recording": FLAG},
    ),
    "Requests": closed({"data": {"type": "array", "items": _RECORD}, "more": FLAG, "recording": FLAG}),
    "ApiHealth": closed(
        {
            "throttle_reqests_per_second": NUMBER,
            "quota_violations_per_second": NUMBER,
            "key_failures_per_second": NUMBER,
            "average_upstream_latency": NUMBER,
            "average_requests_per_second": NUMBER,
        }
    ),
    "Hello": opened({"status": {"enum": ["pass", "warn", "fail"]}, "version": TEXT, "description": TEXT, "details": OBJECT}, ("status",)),
    "Health": closed({"status": {"const": "ok"}, "service": TEXT}),
    "Ready": closed(
        {"status": {"enum": ["ready", "not ready"]}, "service": TEXT, "checks": {"type": "object", "additionalProperties": TEXT}}
    ),
}
