"""Every way the operator API says no: the table of codes, from which docs/errors.md is written, and a function for each text.

The texts are Tyk's, word for word, where Tyk has the call. A name that begins with `tyk_` is what a call below `/tyk/` answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from services.common.refusal import Refusal
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.refusals import counted

Document = Literal["definition", "key", "hook", "rotation", "revocation"]


class OperatorRefusal(Refusal):
    """A call of the operator API is refused; `answers.render` gives it the shape of the API that was called.

    mistakes: what is wrong, and where. warnings: what would be kept without effect.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        *,
        mistakes: Iterable[Mistake] = (),
        warnings: Iterable[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, code, headers=headers)
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)


class Kind(NamedTuple):
    """A row of the table. statuses: as the document shows them. remedy: what the operator does about it, Markdown."""

    code: str
    statuses: tuple[int, ...]
    remedy: str


_FIND: Final = "Look for it in the list."
_MEND: Final = "Correct every place that `Errors` names."
KINDS: Final = (
    Kind("operator-key-wrong", (401, 403), "Send the operator key: `authorization` below `/api/`, `x-tyk-authorization` below `/tyk/`."),
    Kind("malformed-body", (403, 400), "Send a JSON object; `Errors` has the line and the column."),
    Kind("invalid-definition", (400,), _MEND),
    Kind("invalid-key", (400,), _MEND),
    Kind("invalid-hook", (400,), _MEND),
    Kind("invalid-rotation", (400,), _MEND),
    Kind("invalid-revocation", (400,), _MEND),
    Kind("invalid-argument", (400,), "Correct the part of the URL or of the body that the message names."),
    Kind("api-unknown", (404, 400), f"{_FIND} 400: the query's `api_id` names it."),
    Kind("key-not-found", (404,), _FIND),
    Kind("hook-unknown", (404,), _FIND),
    Kind("revision-unknown", (404,), _FIND),
    Kind("delivery-unknown", (404,), _FIND),
    Kind("api-id-taken", (409,), "Choose another `api_id` or `id`, or replace the API that has it."),
    Kind("api-id-missing", (400,), "Name the API in the path."),
    Kind("id-mismatch", (400,), "The body names another id than the path: leave it out or make them equal."),
    Kind("revision-conflict", (412,), "Somebody else was quicker: read again, repeat the change."),
    Kind("revision-empty", (400,), "This revision is a deletion: restore an earlier one."),
    Kind("nothing-to-undo", (409,), "There is no step in this direction; the history shows what there is."),
    Kind("nothing-to-redo", (409,), "There is no step in this direction; the history shows what there is."),
    Kind("definitions-from-files", (409,), "Change the file, then call `/tyk/reload/`."),
    Kind("key-taken", (409,), "Choose another name."),
    Kind("key-of-user", (400,), "A basic user has no secret to rotate: give it another password."),
    Kind(
        "master-key-unusable",
        (503,),
        "Give this gateway the [master key](operating.md#master-key) that the others have; the message says what is wrong with its own.",
    ),
)  # fmt: skip


# What the application itself answers (`services/common/app.py`), in the shape of the API that was called.
_AWAY: Final = (
    "The [database is away](operating.md#when-the-database-is-away): try again; look first whether a call was done that was under way when "
    "it went away."
)
APPLICATION: Final = (
    Kind("not-found", (404,), "There is no such call; [operating.md](operating.md) lists the calls."),
    Kind("method-not-allowed", (405,), "The call exists with another method, which `Allow` names."),
    Kind("database-unavailable", (503,), _AWAY),
    Kind("database-full", (503,), "Make room on the disk of the database, and try again."),
    Kind("database-read-only", (503,), "Make the database writable, and try again."),
    Kind("internal-error", (500,), "The operator finds the cause in the log under the request id."),
)


# The operator key and the request.


def operator_key_wrong() -> OperatorRefusal:
    headers = {"WWW-Authenticate": 'Bearer realm="operator"'}
    return OperatorRefusal(401, "Not authorised", "operator-key-wrong", headers=headers)


def tyk_operator_key_wrong() -> OperatorRefusal:
    return OperatorRefusal(403, "Attempted administrative access with invalid or missing key!", "operator-key-wrong")


def nul_in_url() -> OperatorRefusal:
    return _invalid_argument("The path or the query holds a NUL (%00)")


def malformed_body(mistakes: Mistakes) -> OperatorRefusal:
    return OperatorRefusal(403, "Request body malformed.", "malformed-body", mistakes=mistakes.mistakes)


def tyk_malformed_body(mistakes: Mistakes) -> OperatorRefusal:
    return OperatorRefusal(400, "Request malformed", "malformed-body", mistakes=mistakes.mistakes)


def invalid(what: Document, mistakes: Mistakes, message: str = "", warnings: Iterable[Mistake] = ()) -> OperatorRefusal:
    """Name every mistake of a document. message: replaces the summary."""
    summary = message or f"The {what} has {counted(len(mistakes.mistakes), 'mistake')}: {mistakes}"
    return OperatorRefusal(400, summary, f"invalid-{what}", mistakes=mistakes.mistakes, warnings=warnings)


def number_out_of_range(name: str, low: int, high: int) -> OperatorRefusal:
    return _invalid_argument(f"{name} must be a whole number from {low} to {high}")


def if_match_names_no_revision() -> OperatorRefusal:
    return OperatorRefusal(412, "If-Match does not name a revision of this API", "revision-conflict")


def _invalid_argument(message: str) -> OperatorRefusal:
    return OperatorRefusal(400, message, "invalid-argument")


# Definitions.


def definition_missing() -> OperatorRefusal:
    return OperatorRefusal(400, "The body must be an object with api_definition (and hook_references)", "invalid-definition")


def definition_not_an_object() -> OperatorRefusal:
    return OperatorRefusal(400, "api_definition must be an object", "invalid-definition")


def definitions_not_loaded(mistakes: Iterable[Mistake]) -> OperatorRefusal:
    message = "Definitions that cannot be used were not loaded; what was served in their place goes on. All others are live."
    return OperatorRefusal(400, message, "invalid-definition", mistakes=mistakes)


def definitions_from_files() -> OperatorRefusal:
    message = "The definitions are read from files (GATEWAY_SOURCE=files): change the file and call /tyk/reload/"
    return OperatorRefusal(409, message, "definitions-from-files")


def definition_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "API definition does not exist", "api-unknown")


def api_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "Could not retrieve API detail", "api-unknown")


def tyk_api_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "API not found", "api-unknown")


def tyk_api_of_query_unknown() -> OperatorRefusal:
    return OperatorRefusal(400, "API not found", "api-unknown")


def api_id_taken() -> OperatorRefusal:
    return OperatorRefusal(409, "Found API with the same ID", "api-id-taken")


def tyk_api_id_missing() -> OperatorRefusal:
    return OperatorRefusal(400, "Must specify an APIID to delete", "api-id-missing")


def id_mismatch(shown: str, mistake: Mistake) -> OperatorRefusal:
    """shown: the field's name in Tyk's sentence."""
    message = f"Request {shown} does not match that in Definition! For Update operations these must match."
    return OperatorRefusal(400, message, "id-mismatch", mistakes=[mistake])


def tyk_id_mismatch() -> OperatorRefusal:
    message = "Request APIID does not match that in Definition! For Updtae operations these must match."  # Tyk's spelling
    return OperatorRefusal(400, message, "id-mismatch")


# Revisions.


def revision_conflict(current: int) -> OperatorRefusal:
    message = f"The API was changed meanwhile: it is at revision {current}. Read it again and repeat the change."
    return OperatorRefusal(412, message, "revision-conflict", headers={"ETag": f'"{current}"'})


def revision_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "There is no such revision of this API", "revision-unknown")


def revision_empty(number: int) -> OperatorRefusal:
    return OperatorRefusal(400, f"Revision {number} is the deletion of the API; restore an earlier one", "revision-empty")


def against_not_a_revision() -> OperatorRefusal:
    return _invalid_argument("against must be the number of a revision")


def nothing_to_undo(position: int) -> OperatorRefusal:
    message = f"There is nothing before revision {position}: the API was created there. To remove it, delete it; an undo brings it back"
    return OperatorRefusal(409, message, "nothing-to-undo")


def nothing_to_redo() -> OperatorRefusal:
    return OperatorRefusal(409, "Nothing was undone since the last save of this API", "nothing-to-redo")


# Keys.


def key_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "Key not found", "key-not-found")


def keys_unknown(names: Sequence[str], mistakes: Sequence[Mistake]) -> OperatorRefusal:
    """names: of all keys that were to be revoked. mistakes: one for each that does not exist."""
    count = f"{len(mistakes)} of {len(names)} keys" if len(names) > 1 else "The key"
    verb = "does" if len(mistakes) == 1 else "do"
    return OperatorRefusal(404, f"{count} {verb} not exist; none was revoked", "key-not-found", mistakes=mistakes)


def name_taken_by_a_key() -> OperatorRefusal:
    return OperatorRefusal(409, "A key with this name exists already, and it is not a user", "key-taken")


def name_taken_elsewhere(name: str) -> OperatorRefusal:
    return OperatorRefusal(409, f"`{name}` is the name of a key of another organisation already; choose another name", "key-taken")


def name_was_a_secret() -> OperatorRefusal:
    return OperatorRefusal(409, "This was the secret of a key that has been given another one; choose another name", "key-taken")


def password_missing() -> OperatorRefusal:
    return OperatorRefusal(400, "basic_auth_data.password is missing: a user needs one", "invalid-key")


def user_has_no_secret() -> OperatorRefusal:
    return OperatorRefusal(400, "A basic user has a password, not a secret: change basic_auth_data.password", "key-of-user")


def overlap_out_of_range(longest: int) -> OperatorRefusal:
    return _invalid_argument(f"overlap must be a number of seconds from 0 to {longest}")


def ids_not_a_list(most: int) -> OperatorRefusal:
    return _invalid_argument(f"ids must be a list of 1 to {most} keys")


# Webhooks and their deliveries.


def hook_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "Webhook not found", "hook-unknown")


def hook_id_mismatch() -> OperatorRefusal:
    return OperatorRefusal(400, "The id of the webhook does not match that of the path", "id-mismatch")


def secret_not_sealed(error: Exception) -> OperatorRefusal:
    return OperatorRefusal(503, f"The secret cannot be sealed, and nothing was stored: {error}", "master-key-unusable")


def delivery_unknown() -> OperatorRefusal:
    return OperatorRefusal(404, "Delivery not found", "delivery-unknown")


def state_unknown(states: Iterable[str]) -> OperatorRefusal:
    return _invalid_argument(f"state must be one of {', '.join(states)}")


def hook_not_named() -> OperatorRefusal:
    return _invalid_argument("Name a hook by hook_id, or give all=1")
