"""Every way the operator API says no: the table of codes, from which docs/errors.md is generated, and a function for each text.

The texts are Tyk's, word for word, where Tyk has the call. A name that begins with `tyk_` is what a call below `/tyk/` answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from services.common.refusal import Refusal
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.refusals import counted

Document = Literal["definition", "key", "hook", "rotation", "revocation", "organisation", "policy", "client", "operator", "openapi"]


class Kind(NamedTuple):
    """A row of the table.

    code: stable, kebab-case. statuses: the HTTP statuses that calls answer it with, the usual one first. remedy: what the operator does
    about it, Markdown.
    """

    code: str
    statuses: tuple[int, ...]
    remedy: str


class OperatorRefusal(Refusal):
    """A call of the operator API is refused; `answers.render` gives it the shape of the API that was called.

    kind: the row of the table, which has the code and the status. message: what the caller reads. status: one of the kind's other statuses.
    mistakes: what is wrong, and where. warnings: what would be kept without effect. headers: sent besides.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        mistakes: Iterable[Mistake] = (),
        warnings: Iterable[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status or kind.statuses[0], message, kind.code, headers=headers)
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)


KINDS: Final[dict[str, Kind]] = {}


def _kind(code: str, *statuses: int, remedy: str) -> Kind:
    if code in KINDS:
        raise ValueError(f"two refusals have the code {code}")
    KINDS[code] = kind = Kind(code, statuses, remedy)
    return kind


_FIND: Final = "Look for it in the list."
_MEND: Final = "Correct every place that `Errors` names."
_STEP: Final = "There is no step in this direction; the history shows what there is."

_OPERATOR_KEY_WRONG: Final = _kind(
    "operator-key-wrong",
    401,
    403,
    remedy="Send the operator key, or the access key of an active operator: `authorization` below `/api/`, `x-tyk-authorization` below "
    "`/tyk/`.",
)
_OPERATOR_FORBIDDEN: Final = _kind(
    "operator-forbidden", 403, remedy="The operator's role does not allow this call; an administrator can change it."
)
_ORGANISATION_NOT_YOURS: Final = _kind(
    "organisation-not-yours", 403, remedy="Leave `org_id` out, or name the organisation of the operator."
)
_OPENS_EVERYTHING: Final = _kind(
    "opens-everything",
    403,
    remedy="Name APIs in `access_rights` of the key, or of a policy that it names; only who sees everything may leave them out.",
)
_OPERATOR_UNKNOWN: Final = _kind("operator-unknown", 404, remedy=_FIND)
_NO_PASSWORDS: Final = _kind("no-passwords", 400, remedy="Give the operator another access key: `POST /api/users/{id}/rotate`.")
_MALFORMED_BODY: Final = _kind("malformed-body", 403, 400, remedy="Send a JSON object; `Errors` has the line and the column.")
_INVALID: Final[dict[Document, Kind]] = {what: _kind(f"invalid-{what}", 400, remedy=_MEND) for what in get_args(Document)}
_INVALID_ARGUMENT: Final = _kind("invalid-argument", 400, remedy="Correct the part of the URL or of the body that the message names.")
_API_UNKNOWN: Final = _kind("api-unknown", 404, 400, remedy=f"{_FIND} 400: when `api_id` in the query names it.")
_CACHE_NOT_PURGED: Final = _kind(
    "cache-not-purged", 503, remedy="Valkey cannot be reached: try again; answers end by themselves after `cache_timeout`."
)
_KEY_NOT_FOUND: Final = _kind("key-not-found", 404, remedy=_FIND)
_KEY_NOT_OWNED: Final = _kind("key-not-owned", 400, remedy="The key belongs to another organisation.")
_HOOK_UNKNOWN: Final = _kind("hook-unknown", 404, remedy=_FIND)
_ORGANISATION_UNKNOWN: Final = _kind("organisation-unknown", 404, remedy=_FIND)
_CERTIFICATE_INVALID: Final = _kind("certificate-invalid", 403, remedy="Send one certificate in PEM form, without its private key.")
_CERTIFICATE_NOT_FOUND: Final = _kind("certificate-not-found", 404, remedy=_FIND)
_CERTIFICATE_TAKEN: Final = _kind("certificate-taken", 403, remedy="It is stored already, under the id that the message names.")
_POLICY_UNKNOWN: Final = _kind("policy-unknown", 404, remedy=_FIND)
_POLICY_TAKEN: Final = _kind("policy-taken", 409, remedy="Choose another `id`, or replace the policy that has it.")
_POLICY_OF_OTHERS: Final = _kind(
    "policy-of-others", 409, remedy="Choose another `id`, or leave the policy in the organisation whose keys and clients name it."
)
_POLICY_IN_USE: Final = _kind(
    "policy-in-use", 409, remedy="Take it out of the keys that name it; or repeat the call with `force=1`, which switches these keys off."
)
_CLIENT_UNKNOWN: Final = _kind("client-unknown", 404, remedy=_FIND)
_CLIENT_TAKEN: Final = _kind("client-taken", 409, remedy="Choose another `client_id`, or change the client that has it.")
_REVISION_UNKNOWN: Final = _kind("revision-unknown", 404, remedy=_FIND)
_DELIVERY_UNKNOWN: Final = _kind("delivery-unknown", 404, remedy=_FIND)
_API_ID_TAKEN: Final = _kind("api-id-taken", 409, remedy="Choose another `api_id` or `id`, or replace the API that has it.")
_API_ID_MISSING: Final = _kind("api-id-missing", 400, remedy="Name the API in the path, or as `api_id` in the query.")
_ID_MISMATCH: Final = _kind(
    "id-mismatch", 400, remedy="Body and path name different ids: leave the id out of the body, or make them equal."
)
_REVISION_CONFLICT: Final = _kind("revision-conflict", 412, remedy="Another change came first: read the API again, then repeat yours.")
_REVISION_EMPTY: Final = _kind("revision-empty", 400, remedy="This revision is a deletion: restore an earlier one.")
_NOTHING_TO_UNDO: Final = _kind("nothing-to-undo", 409, remedy=_STEP)
_NOTHING_TO_REDO: Final = _kind("nothing-to-redo", 409, remedy=_STEP)
_DEFINITIONS_FROM_FILES: Final = _kind("definitions-from-files", 409, remedy="Change the file, then call `/tyk/reload/`.")
_POLICIES_FROM_FILES: Final = _kind("policies-from-files", 409, remedy="Change the file, then call `/tyk/reload/`.")
_KEY_TAKEN: Final = _kind("key-taken", 409, remedy="Choose another name.")
_KEY_OF_USER: Final = _kind("key-of-user", 400, remedy="A basic user has no secret to rotate: give it another password.")
_KEY_OF_CERTIFICATE: Final = _kind(
    "key-of-certificate", 400, remedy="A key that a certificate opens has no secret to rotate: create a key for the new certificate."
)
_MASTER_KEY_UNUSABLE: Final = _kind(
    "master-key-unusable",
    503,
    remedy="Give this gateway the [master key](operating.md#master-key) that the others have; the message says what is wrong with its own.",
)

# What the application itself answers (`services/common/app.py`), in the shape of the API that was called.
_AWAY: Final = (
    "The [database is away](operating.md#when-the-database-is-away): try again, but check first whether a call that was under way "
    "took effect."
)
APPLICATION: Final = (
    Kind("not-found", (404,), "This call does not exist; [operating.md](operating.md) lists the calls."),
    Kind("method-not-allowed", (405,), "The call exists with another method, which `Allow` names."),
    Kind("database-unavailable", (503,), _AWAY),
    Kind("database-full", (503,), "Make room on the disk of the database, and try again."),
    Kind("database-read-only", (503,), "Make the database writable, and try again."),
    Kind("internal-error", (500,), "The log has the cause, under the request id."),
)


# The operator key and the request.


def operator_key_wrong() -> OperatorRefusal:
    headers = {"WWW-Authenticate": 'Bearer realm="operator"'}
    return OperatorRefusal(_OPERATOR_KEY_WRONG, "Not authorised", headers=headers)


def tyk_operator_key_wrong() -> OperatorRefusal:
    return OperatorRefusal(_OPERATOR_KEY_WRONG, "Attempted administrative access with invalid or missing key!", status=403)


def operator_forbidden(path: str) -> OperatorRefusal:
    return OperatorRefusal(_OPERATOR_FORBIDDEN, f"access denied: You do not have permission to access  {path}")  # Tyk's two spaces


def organisation_not_yours(own: str) -> OperatorRefusal:
    mistake = Mistake("/org_id", f"must be `{own}`, or left out")
    return OperatorRefusal(_ORGANISATION_NOT_YOURS, f"You may only write what belongs to the organisation `{own}`", mistakes=[mistake])


def opens_everything() -> OperatorRefusal:
    mistake = Mistake("/access_rights", "name the APIs")
    return OperatorRefusal(_OPENS_EVERYTHING, "Without access_rights a key would open the APIs of all organisations", mistakes=[mistake])


def nul_in_url() -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, "The path or the query holds a NUL (%00)")


def malformed_body(mistakes: Mistakes) -> OperatorRefusal:
    return OperatorRefusal(_MALFORMED_BODY, "Request body malformed.", mistakes=mistakes.mistakes)


def tyk_malformed_body(mistakes: Mistakes) -> OperatorRefusal:
    return OperatorRefusal(_MALFORMED_BODY, "Request malformed", status=400, mistakes=mistakes.mistakes)


def invalid(what: Document, mistakes: Mistakes, message: str = "", warnings: Iterable[Mistake] = ()) -> OperatorRefusal:
    """Name every mistake of a document. message: replaces the summary."""
    name = "OpenAPI document" if what == "openapi" else what
    summary = message or f"The {name} has {counted(len(mistakes.mistakes), 'mistake')}: {mistakes}"
    return OperatorRefusal(_INVALID[what], summary, mistakes=mistakes.mistakes, warnings=warnings)


def number_out_of_range(name: str, low: int, high: int) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"{name} must be a whole number from {low} to {high}")


def flag_wrong(name: str) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"{name} must be 1, true or yes; or 0, false or no")


def too_many_keys(keys: int, most: int) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"p=-1 shows at most {most} keys, and there are {keys}: ask for them page by page")


def period_wrong(what: str) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, what)


def too_much_activity(rows: int, most: int) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"p=-1 shows at most {most} rows, and there are {rows}: ask for them page by page")


def if_match_names_no_revision() -> OperatorRefusal:
    return OperatorRefusal(_REVISION_CONFLICT, "If-Match does not name a revision of this API")


# Definitions.


def definition_missing() -> OperatorRefusal:
    return OperatorRefusal(_INVALID["definition"], "The body must be an object with api_definition (and hook_references)")


def definition_not_an_object() -> OperatorRefusal:
    return OperatorRefusal(_INVALID["definition"], "api_definition must be an object")


def definitions_not_loaded(mistakes: Iterable[Mistake]) -> OperatorRefusal:
    message = "What has mistakes was not loaded; what it last said rightly is still in force. All else is live."
    return OperatorRefusal(_INVALID["definition"], message, mistakes=mistakes)


def definitions_from_files() -> OperatorRefusal:
    message = "The definitions are read from files (GATEWAY_SOURCE=files): change the file and call /tyk/reload/"
    return OperatorRefusal(_DEFINITIONS_FROM_FILES, message)


def definition_unknown() -> OperatorRefusal:
    return OperatorRefusal(_API_UNKNOWN, "API definition does not exist")


def api_unknown() -> OperatorRefusal:
    return OperatorRefusal(_API_UNKNOWN, "Could not retrieve API detail")


def tyk_api_unknown() -> OperatorRefusal:
    return OperatorRefusal(_API_UNKNOWN, "API not found")


def tyk_api_of_query_unknown() -> OperatorRefusal:
    return OperatorRefusal(_API_UNKNOWN, "API not found", status=400)


def tyk_health_without_api() -> OperatorRefusal:
    return OperatorRefusal(_API_ID_MISSING, "missing api_id parameter")


def tyk_health_unknown() -> OperatorRefusal:
    return OperatorRefusal(_API_UNKNOWN, "API ID not found")


def tyk_cache_not_purged() -> OperatorRefusal:
    return OperatorRefusal(_CACHE_NOT_PURGED, "Valkey cannot be reached, so the cache of the API is as it was")


def api_id_taken() -> OperatorRefusal:
    return OperatorRefusal(_API_ID_TAKEN, "Found API with the same ID")


def tyk_api_id_missing() -> OperatorRefusal:
    return OperatorRefusal(_API_ID_MISSING, "Must specify an APIID to delete")


def id_mismatch(shown: str, mistake: Mistake) -> OperatorRefusal:
    """shown: the field's name in Tyk's sentence."""
    message = f"Request {shown} does not match that in Definition! For Update operations these must match."
    return OperatorRefusal(_ID_MISMATCH, message, mistakes=[mistake])


def tyk_id_mismatch() -> OperatorRefusal:
    message = "Request APIID does not match that in Definition! For Updtae operations these must match."  # Tyk's spelling
    return OperatorRefusal(_ID_MISMATCH, message)


# Revisions.


def revision_conflict(current: int) -> OperatorRefusal:
    message = f"The API was changed meanwhile: it is at revision {current}. Read it again and repeat the change."
    return OperatorRefusal(_REVISION_CONFLICT, message, headers={"ETag": f'"{current}"'})


def revision_unknown() -> OperatorRefusal:
    return OperatorRefusal(_REVISION_UNKNOWN, "There is no such revision of this API")


def revision_empty(number: int) -> OperatorRefusal:
    return OperatorRefusal(_REVISION_EMPTY, f"Revision {number} is the deletion of the API; restore an earlier one")


def against_not_a_revision() -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, "against must be the number of a revision")


def nothing_to_undo(position: int) -> OperatorRefusal:
    message = f"There is nothing before revision {position}: the API was created there. To remove it, delete it; an undo brings it back"
    return OperatorRefusal(_NOTHING_TO_UNDO, message)


def nothing_to_redo() -> OperatorRefusal:
    return OperatorRefusal(_NOTHING_TO_REDO, "Nothing has been undone since the last save of this API")


# Keys.


def key_unknown() -> OperatorRefusal:
    return OperatorRefusal(_KEY_NOT_FOUND, "Key not found")


def key_not_owned() -> OperatorRefusal:
    return OperatorRefusal(_KEY_NOT_OWNED, "Attempted access to non-owned key.")


def keys_unknown(names: Sequence[str], mistakes: Sequence[Mistake]) -> OperatorRefusal:
    """names: of all keys that were to be revoked. mistakes: one for each that does not exist."""
    count = f"{len(mistakes)} of {len(names)} keys" if len(names) > 1 else "The key"
    verb = "does" if len(mistakes) == 1 else "do"
    return OperatorRefusal(_KEY_NOT_FOUND, f"{count} {verb} not exist; none was revoked", mistakes=mistakes)


def name_taken_by_a_key() -> OperatorRefusal:
    return OperatorRefusal(_KEY_TAKEN, "A key with this name already exists, and it is not a user")


def name_taken_elsewhere(name: str) -> OperatorRefusal:
    return OperatorRefusal(_KEY_TAKEN, f"A key of another organisation already has the name `{name}`; choose another name")


def name_was_a_secret() -> OperatorRefusal:
    return OperatorRefusal(_KEY_TAKEN, "This was the secret of a key that now has another one; choose another name")


def password_missing() -> OperatorRefusal:
    return OperatorRefusal(_INVALID["key"], "basic_auth_data.password is missing: a user needs one")


def user_has_no_secret() -> OperatorRefusal:
    return OperatorRefusal(_KEY_OF_USER, "A basic user has a password, not a secret: change basic_auth_data.password")


def certificate_has_no_secret() -> OperatorRefusal:
    return OperatorRefusal(_KEY_OF_CERTIFICATE, "The key has a certificate, not a secret: create a key for the new certificate")


def key_of_certificate_taken(name: str) -> OperatorRefusal:
    return OperatorRefusal(_KEY_TAKEN, f"Failed to create key - Key with given certificate already found:{name}")


def overlap_out_of_range(longest: int) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"overlap must be a number of seconds from 0 to {longest}")


def ids_not_a_list(most: int) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"ids must be a list of 1 to {most} keys")


# Webhooks and their deliveries.


def hook_unknown() -> OperatorRefusal:
    return OperatorRefusal(_HOOK_UNKNOWN, "Webhook not found")


def hook_id_mismatch() -> OperatorRefusal:
    return OperatorRefusal(_ID_MISMATCH, "The id of the webhook does not match that of the path")


def secret_not_sealed(error: Exception) -> OperatorRefusal:
    return OperatorRefusal(_MASTER_KEY_UNUSABLE, f"The secret cannot be sealed, and nothing was stored: {error}")


def delivery_unknown() -> OperatorRefusal:
    return OperatorRefusal(_DELIVERY_UNKNOWN, "Delivery not found")


def mode_unknown() -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, "mode must be detailed, or left out")


def state_unknown(states: Iterable[str]) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"state must be one of {', '.join(states)}")


def hook_not_named() -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, "Name a hook by hook_id, or give all=1")


# Organisations.


def organisation_id_wrong(error: ValueError) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"The id of the organisation {error}")


def tyk_organisation_unknown() -> OperatorRefusal:
    return OperatorRefusal(_ORGANISATION_UNKNOWN, "Org not found")


# Policies.


def policy_unknown() -> OperatorRefusal:
    return OperatorRefusal(_POLICY_UNKNOWN, "Policy not found")


def policies_from_files() -> OperatorRefusal:
    message = "The policies are read from a file (GATEWAY_SOURCE=files): change the file and call /tyk/reload/"
    return OperatorRefusal(_POLICIES_FROM_FILES, message)


def policy_id_taken() -> OperatorRefusal:
    return OperatorRefusal(_POLICY_TAKEN, "There is a policy with this id")


def policy_of_others() -> OperatorRefusal:
    return OperatorRefusal(_POLICY_OF_OTHERS, "Keys or clients of another organisation name this policy")


def policy_id_mismatch() -> OperatorRefusal:
    return OperatorRefusal(_ID_MISMATCH, "Request ID does not match that in policy! For Update operations these must match.")


def policy_in_use(keys: int) -> OperatorRefusal:
    return OperatorRefusal(_POLICY_IN_USE, f"The policy is in use by {counted(keys, 'key')}")


# Certificates.


def certificate_invalid(message: str) -> OperatorRefusal:
    return OperatorRefusal(_CERTIFICATE_INVALID, message)


def certificate_unknown() -> OperatorRefusal:
    return OperatorRefusal(_CERTIFICATE_NOT_FOUND, "Certificate with given SHA256 fingerprint not found")


def certificate_taken(id: str) -> OperatorRefusal:
    return OperatorRefusal(_CERTIFICATE_TAKEN, f"Certificate with {id} id already exists")


# OAuth2 clients.


def client_unknown() -> OperatorRefusal:
    return OperatorRefusal(_CLIENT_UNKNOWN, "OAuth Client ID not found")


def client_id_taken() -> OperatorRefusal:
    return OperatorRefusal(_CLIENT_TAKEN, "There is an OAuth client with this id")


def client_id_mismatch() -> OperatorRefusal:
    return OperatorRefusal(_ID_MISMATCH, "The id of the OAuth client does not match that of the path")


def api_without_oauth() -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, "The API does not ask for access tokens (use_oauth2), so it has no clients")


def refresh_token_unknown() -> OperatorRefusal:
    return OperatorRefusal(_CLIENT_UNKNOWN, "Refresh token not found")


# Operators and the audit.


def operator_unknown() -> OperatorRefusal:
    return OperatorRefusal(_OPERATOR_UNKNOWN, "User not found")


def operator_id_mismatch() -> OperatorRefusal:
    return OperatorRefusal(_ID_MISMATCH, "The id of the user does not match that of the path")


def no_passwords() -> OperatorRefusal:
    return OperatorRefusal(_NO_PASSWORDS, "Operators have no passwords; POST /api/users/{id}/rotate gives them another access key")


def moment_wrong(name: str) -> OperatorRefusal:
    return OperatorRefusal(_INVALID_ARGUMENT, f"{name} must be a moment such as 2030-01-31T12:00:00Z, or seconds of the epoch")
