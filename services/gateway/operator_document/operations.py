"""Every call of the operator's port: what it takes, and how it answers. A test compares the rows with the routes.

Codes that any call may answer (no key, no role, no database) stand in no row; `operator_document` adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Operation(NamedTuple):
    """A call.

    summary: one line. answer: the schema of its 200, "" = it has none. codes: of its refusals, with `:status` where that is unusual.
    parameters: names in `parameters`. body: the schema of what it reads. optional: the body may be left out. about: Markdown.
    others: schemas of other answers, by status.
    """

    summary: str
    answer: str
    codes: str = ""
    parameters: str = ""
    body: str = ""
    optional: bool = False
    about: str = ""
    others: Mapping[str, str] = {}


TAGS: Final[Mapping[str, str]] = {
    "apis": "Definitions",
    "revisions": "Definitions",
    "lint": "Definitions",
    "imports": "Definitions",
    "workers": "Health",
    "keys": "Keys",
    "policies": "Policies",
    "oauth_clients": "OAuth2 clients",
    "certificates": "Certificates",
    "hooks": "Webhooks",
    "deliveries": "Webhooks",
    "users": "Operators",
    "audit": "Operators",
    "activity": "Analytics",
    "tyk_apis": "Tyk: definitions",
    "tyk_cache": "Tyk: definitions",
    "tyk_keys": "Tyk: keys",
    "tyk_policies": "Tyk: policies",
    "tyk_organisations": "Tyk: organisations",
    "tyk_certificates": "Tyk: certificates",
    "tyk_oauth": "Tyk: OAuth2 clients",
    "tyk_health": "Health",
    "tyk_hello": "Health",
    "health": "Health",
    "ready": "Health",
    "metrics": "Health",
}
_NOTED: Final = "X-Gatehouse-Author X-Gatehouse-Note"
_GUARDED: Final = f"If-Match {_NOTED}"
_SEARCH: Final = "alias q tag owner org_id policy p page_size"
_OF_OTHERS: Final = "organisation-not-yours"
_SAVES: Final = f"invalid-definition revision-conflict definitions-from-files {_OF_OTHERS}"
_STEPS: Final = f"{_SAVES} api-unknown api-id-taken"
_KEY: Final = f"invalid-key opens-everything {_OF_OTHERS}"
_POLICY: Final = f"invalid-policy opens-everything {_OF_OTHERS} policy-of-others policies-from-files"
_CLIENT: Final = f"invalid-client api-unknown {_OF_OTHERS}"
_HOOK: Final = f"invalid-hook {_OF_OTHERS} master-key-unusable"
_ADDS: Final = f"certificate-invalid certificate-taken {_OF_OTHERS} invalid-argument"

# By Flask's name of the route, and by its method where several share a name.
OPERATIONS: Final[Mapping[str, Operation]] = {
    # /api: definitions.
    "apis.list_apis": Operation("List the definitions", "Apis", parameters="p page_size"),
    "apis.search_apis": Operation("Search the definitions by name", "Apis", parameters="q p page_size"),
    "apis.get_api": Operation("Show a definition", "Api", "api-unknown", about="`ETag` names its revision, for `If-Match`."),
    "apis.create_api": Operation("Create an API", "ApiSaved", f"{_SAVES} api-id-taken", f"dry_run {_NOTED}", "DefinitionBody"),
    "apis.update_api": Operation(
        "Replace a definition", "ApiSaved", f"{_SAVES} api-unknown id-mismatch", f"dry_run {_GUARDED}", "DefinitionBody"
    ),
    "apis.delete_api": Operation("Delete an API", "Done", "api-unknown revision-conflict definitions-from-files", _GUARDED),
    "lint.lint_definition": Operation(
        "Check a definition without saving it", "Linted", f"invalid-definition {_OF_OTHERS}", body="LintBody"
    ),
    "imports.export_openapi": Operation(
        "Show an API as an OpenAPI document",
        "OpenAPI",
        "api-unknown invalid-definition",
        about="Its white list; `x-left-out` names the patterns that OpenAPI cannot say.",
    ),
    "imports.import_openapi": Operation(
        "Create an API from an OpenAPI document",
        "ApiImported",
        f"invalid-openapi invalid-definition api-id-taken definitions-from-files {_OF_OTHERS}",
        f"listen_path target mock dry_run {_NOTED}",
        "OpenAPI",
        about="3.0 or 3.1, as JSON. `Notes` says what the definition does not have of it.",
    ),
    "revisions.list_revisions": Operation(
        "List the revisions of an API", "Revisions", "api-unknown", about="The newest first; also those of a deleted API."
    ),
    "revisions.get_revision": Operation("Show a revision, and what it changed", "RevisionShown", "revision-unknown", "against"),
    "revisions.restore_revision": Operation(
        "Restore a revision", "Stepped", f"{_STEPS} revision-unknown revision-empty", f"dry_run {_GUARDED}"
    ),
    "revisions.undo": Operation("Go one step back", "Stepped", f"{_STEPS} nothing-to-undo revision-empty", f"dry_run {_GUARDED}"),
    "revisions.redo": Operation("Go one step forward", "Stepped", f"{_STEPS} nothing-to-redo revision-empty", f"dry_run {_GUARDED}"),
    "workers.list_workers": Operation("List the workers, and what one of them serves", "WorkersShown"),
    # /api: keys.
    "keys.list_keys": Operation("Search keys", "Keys", parameters=f"api_id {_SEARCH}"),
    "keys.create_key": Operation("Create a key", "KeyCreated", f"{_KEY} key-taken", body="Session"),
    "keys.get_key": Operation("Show a key", "Key", "key-not-found key-not-owned"),
    "keys.update_key": Operation(
        "Replace a key; its secrets stay", "KeyUpdated", f"{_KEY} key-not-found key-not-owned", "suppress_reset", "Session"
    ),
    "keys.delete_key": Operation("Delete a key", "Done", "key-not-found key-not-owned"),
    "keys.rotate_key": Operation(
        "Give a key a new secret",
        "KeyCreated",
        "key-not-found key-not-owned key-of-user key-of-certificate invalid-rotation",
        body="Rotation",
        optional=True,
    ),
    "keys.revoke_keys": Operation(
        "Delete several keys, or none of them", "KeysRevoked", "key-not-found invalid-revocation", body="Revocation"
    ),
    "keys.put_user": Operation("Create or replace a basic user", "KeyCreated", f"{_KEY} key-taken", "suppress_reset", "Session"),
    "keys.list_keys_of_api": Operation("Search the keys of an API", "Keys", "api-unknown", _SEARCH),
    "keys.get_key_of_api": Operation("Show a key of an API", "Key", "api-unknown key-not-found key-not-owned"),
    "keys.update_key_of_api": Operation(
        "Replace a key of an API", "KeyUpdated", f"{_KEY} api-unknown key-not-found key-not-owned", "suppress_reset", "Session"
    ),
    "keys.delete_key_of_api": Operation("Delete a key of an API", "Done", "api-unknown key-not-found key-not-owned"),
    # /api: the others.
    "policies.list_policies": Operation("List the policies", "Policies", parameters="p page_size"),
    "policies.get_policy": Operation("Show a policy", "PolicyShown", "policy-unknown"),
    "policies.create_policy": Operation("Create a policy", "Done", f"{_POLICY} policy-taken", body="Policy"),
    "policies.update_policy": Operation("Replace a policy", "Done", f"{_POLICY} policy-unknown id-mismatch", body="Policy"),
    "policies.delete_policy": Operation("Delete a policy", "Done", "policy-unknown policy-in-use policies-from-files", "force"),
    "oauth_clients.list_clients": Operation("List the OAuth2 clients of an API", "Clients", "api-unknown", "p page_size"),
    "oauth_clients.create_client": Operation("Create an OAuth2 client", "ClientCreated", f"{_CLIENT} client-taken", body="OAuthClient"),
    "oauth_clients.get_client": Operation("Show an OAuth2 client", "Client", "api-unknown client-unknown"),
    "oauth_clients.update_client": Operation(
        "Replace an OAuth2 client; its secret stays", "Done", f"{_CLIENT} client-unknown id-mismatch", body="OAuthClient"
    ),
    "oauth_clients.delete_client": Operation("Delete an OAuth2 client and its tokens", "Done", "api-unknown client-unknown"),
    "certificates.list_certificates": Operation("List the certificates of clients", "Certificates", parameters="org_id mode p page_size"),
    "certificates.add_certificate": Operation("Store a certificate", "CertificateAdded", _ADDS, "org_id", "(certificate)"),
    "certificates.get_certificate": Operation("Show a certificate", "Certificate", "certificate-not-found"),
    "certificates.delete_certificate": Operation(
        "Delete a certificate", "CertificateDeleted", about="Answers `removed` also when there was none."
    ),
    "hooks.list_hooks": Operation("List the webhooks", "Hooks", parameters="p page_size"),
    "hooks.get_hook": Operation("Show a webhook", "HookShown", "hook-unknown"),
    "hooks.create_hook": Operation("Create a webhook", "Done", _HOOK, body="Hook"),
    "hooks.update_hook": Operation("Replace a webhook", "Done", f"{_HOOK} hook-unknown id-mismatch", body="Hook"),
    "hooks.delete_hook": Operation("Delete a webhook", "Done", "hook-unknown"),
    "deliveries.list_deliveries": Operation("List the calls of webhooks", "Deliveries", parameters="state hook_id p page_size"),
    "deliveries.show": Operation("Show a call of a webhook", "DeliveryWithBody", "delivery-unknown"),
    "deliveries.replay": Operation("Repeat a call of a webhook", "Done", "delivery-unknown"),
    "deliveries.replay_dead": Operation("Repeat all dead calls of a webhook", "Replayed", parameters="hook_id all"),
    "users.list_users": Operation("List the operators", "Users", parameters="p page_size"),
    "users.get_user": Operation("Show an operator", "UserShown", "operator-unknown"),
    "users.create_user": Operation("Create an operator", "AccessKey", f"invalid-operator {_OF_OTHERS}", body="User"),
    "users.update_user": Operation(
        "Replace an operator; the access key stays", "Done", f"invalid-operator {_OF_OTHERS} operator-unknown id-mismatch", body="User"
    ),
    "users.delete_user": Operation("Delete an operator", "Done", "operator-unknown"),
    "users.rotate_key": Operation(
        "Give an operator another access key", "AccessKey", "operator-unknown invalid-rotation", body="Rotation", optional=True
    ),
    "users.reset_password": Operation("Refuse: operators have no passwords", "", "operator-unknown no-passwords"),
    "audit.list_records": Operation(
        "List who changed what", "AuditRecords", parameters="who kind id since until p page_size", about="The newest first."
    ),
    "activity.count_all": Operation(
        "Show what requests add up to", "Activity", parameters="res api_id p page_size", about="Of `GATEWAY_ANALYTICS`; times are UTC."
    ),
    "activity.count_one": Operation(
        "Show what the requests of one API, key or client add up to", "Activity", parameters="res api_id p page_size"
    ),
    "activity.list_records": Operation(
        "List the requests that were recorded",
        "Requests",
        parameters="api_id of_key errors since until p page_size",
        about="The newest first; of the last hour when no moment is given.",
    ),
    # /tyk.
    "tyk_apis.list_apis": Operation("List the definitions", "Definitions"),
    "tyk_apis.get_api": Operation("Show a definition", "Definition", "api-unknown"),
    "tyk_apis.create_api": Operation("Create or replace an API", "TykApiSaved", f"{_SAVES} api-id-taken", _GUARDED, "Definition"),
    "tyk_apis.update_api": Operation("Replace a definition", "TykApiSaved", f"{_SAVES} api-unknown id-mismatch", _GUARDED, "Definition"),
    "tyk_apis.delete_api": Operation("Delete an API", "TykDeleted", "api-unknown revision-conflict definitions-from-files", _GUARDED),
    "tyk_apis.delete_nothing": Operation("Refuse: the path names no API", "", "api-id-missing"),
    "tyk_cache.purge": Operation(
        "Forget the kept answers of an API", "TykPurged", "api-unknown cache-not-purged", about="No worker serves them after the answer."
    ),
    "tyk_apis.reload": Operation(
        "Make every worker read the definitions again", "TykReload", "invalid-definition", about="No write needs it; files that changed do."
    ),
    "tyk_keys.list_keys": Operation("List the public ids of keys", "TykKeys", "api-unknown:400", "api_id filter"),
    "tyk_keys.create_key": Operation("Create a key", "TykKeySaved", f"{_KEY} key-taken", body="Session"),
    "tyk_keys.add_key": Operation("Store a key under a name", "TykKeySaved", f"{_KEY} key-taken", "suppress_reset hashed", "Session"),
    "tyk_keys.update_key": Operation("Create or replace a key", "TykKeySaved", f"{_KEY} key-taken", "suppress_reset hashed", "Session"),
    "tyk_keys.get_key": Operation("Show a key", "Session", "api-unknown:400 key-not-found", "api_id hashed"),
    "tyk_keys.delete_key": Operation(
        "Delete a key", "TykDeleted", "api-unknown:400 key-not-found", "api_id hashed", about="Answers `deleted` also when there was none."
    ),
    "tyk_organisations.list_organisations": Operation("List the organisations that have a session", "OrganisationIds"),
    "tyk_organisations.get_organisation": Operation("Show the session of an organisation", "Organisation", "organisation-unknown"),
    "tyk_organisations.put_organisation": Operation(
        "Create or replace the session of an organisation",
        "TykSaved",
        f"invalid-organisation {_OF_OTHERS}",
        "reset_quota",
        "Organisation",
    ),
    "tyk_organisations.delete_organisation": Operation("Delete the session of an organisation", "TykDeleted", "organisation-unknown"),
    "tyk_policies.list_policies": Operation("List the policies", "TykPolicies"),
    "tyk_policies.get_policy": Operation("Show a policy", "Policy", "policy-unknown"),
    "tyk_policies.create_policy": Operation("Create a policy", "TykSaved", f"{_POLICY} policy-taken", body="Policy"),
    "tyk_policies.update_policy": Operation("Replace a policy", "TykSaved", f"{_POLICY} policy-unknown id-mismatch", body="Policy"),
    "tyk_policies.delete_policy": Operation("Delete a policy", "TykDeleted", "policy-unknown policy-in-use policies-from-files", "force"),
    "tyk_certificates.list_certificates": Operation("List the certificates of clients", "TykCertificates", parameters="org_id mode"),
    "tyk_certificates.add_certificate": Operation("Store a certificate", "CertificateAdded", _ADDS, "org_id", "(certificate)"),
    "tyk_certificates.get_certificates": Operation("Show certificates", "CertificateNamed", "certificate-not-found"),
    "tyk_certificates.delete_certificate": Operation(
        "Delete a certificate", "CertificateDeleted", about="Answers `removed` also when there was none."
    ),
    "tyk_oauth.create_client": Operation(
        "Create an OAuth2 client", "ClientCreated", f"{_CLIENT} client-taken invalid-argument", body="OAuthClient"
    ),
    "tyk_oauth.list_clients": Operation("List the OAuth2 clients of an API", "TykClients", "api-unknown"),
    "tyk_oauth.get_client": Operation("Show an OAuth2 client", "Client", "api-unknown client-unknown"),
    "tyk_oauth.update_client": Operation(
        "Replace an OAuth2 client; its secret stays", "Client", f"{_CLIENT} client-unknown id-mismatch", body="OAuthClient"
    ),
    "tyk_oauth.delete_client": Operation("Delete an OAuth2 client and its tokens", "TykDeleted", "api-unknown client-unknown"),
    "tyk_oauth.list_tokens": Operation("List the access tokens of a client", "Tokens", "api-unknown client-unknown"),
    "tyk_oauth.end_tokens": Operation("End all access tokens of a client", "TykDeleted", "api-unknown client-unknown"),
    "tyk_oauth.end_refresh_token": Operation("End a refresh token and its access token", "TykDeleted", "client-unknown"),
    "tyk_oauth.authorize_client": Operation(
        "Give a client a code for a user who has logged in",
        "Authorized",
        "client-unknown",
        body="(form) AuthorizeClient",
        others={"400": "OAuthError", "403": "OAuthError"},
    ),
    "tyk_health.health": Operation(
        "Tell how an API has done in the last minute",
        "ApiHealth",
        "api-id-missing api-unknown",
        "api_id",
        about="Over all workers of this node. The latency is that of the upstream, in milliseconds.",
    ),
    # Health: for everybody.
    "tyk_hello.hello": Operation("Tell whether the gateway is well, in Tyk's format", "Hello"),
    "health": Operation("Tell whether the process runs", "Health"),
    "ready": Operation("Tell whether the gateway can serve, and what is missing", "Ready", others={"503": "Ready"}),
    "metrics": Operation("Show the metrics, for Prometheus", "(text)"),
}
