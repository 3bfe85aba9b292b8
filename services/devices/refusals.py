"""Every way the service says no. The texts are the original system's, which clients compare; our own are marked so."""

from __future__ import annotations

import json
from collections.abc import Mapping

from services.common.refusal import Refusal

FieldErrors = Mapping[str, list[str]]


def denied() -> Refusal:
    """No token, an unknown or expired one, one of the wrong type in a typed header, or two that differ."""
    return Refusal(401, "Authorization denied", "authorization-denied")


def not_allowed() -> Refusal:
    """A token that lives and may not do this. The text is that of `denied`, as in the original; the status is ours."""
    return Refusal(403, "Authorization denied", "not-allowed")


def auth_unavailable() -> Refusal:
    """Ours: the auth service does not answer."""
    return Refusal(503, "Authorization cannot be checked now; try again", "auth-unavailable", headers={"Retry-After": "1"})


def invalid_device_id() -> Refusal:
    """There is no such device, or it is another account's."""
    return Refusal(404, "Invalid Device ID")


def invalid_action_id() -> Refusal:
    """There is no such action, or it is another account's."""
    return Refusal(404, "Invalid Action ID")


def invalid_delivery_id() -> Refusal:
    """Ours: the action has made no such call, or it is forgotten."""
    return Refusal(404, "Invalid Delivery ID")


def too_many_actions(most: int) -> Refusal:
    """Ours."""
    return Refusal(400, f"The account has reached the limit of {most} actions", "too-many-actions")


def deactivated() -> Refusal:
    """The device is inactive: it takes and gives no data."""
    return Refusal(400, "Device is deactivated")


def body_invalid(fields: FieldErrors | None = None) -> Refusal:
    """fields: texts by field; in a list by its index, `1.variable`."""
    return Refusal(400, "Error on Body parameters", "invalid-body", fields=fields)


def not_json(error: Exception) -> Refusal:
    """The body cannot be read as JSON; `field_errors.body` says where, and shows nothing of it. error: what reading it has raised."""
    if isinstance(error, json.JSONDecodeError):
        # "Unterminated string starting at" and the like are made to be followed by the place
        what = error.msg.removesuffix(" at").removesuffix(" starting")
        text = f"line {error.lineno}, column {error.colno}: {what}"
    elif isinstance(error, UnicodeDecodeError):
        text = f"byte {error.start + 1}: Not {error.encoding.upper()}"
    elif isinstance(error, UnicodeEncodeError):
        text = "Half of a surrogate pair"
    elif isinstance(error, RecursionError):
        text = "Nested too deeply"
    else:
        text = "A number that is not finite, or too long"
    return body_invalid({"body": [text]})


def query_invalid(fields: FieldErrors, message: str | None = None) -> Refusal:
    """message: where the original has a text of its own."""
    return Refusal(400, message or "Error on Query String parameters", "invalid-query", fields=fields)


def url_invalid(fields: FieldErrors) -> Refusal:
    """fields: texts by the name of the part of the path."""
    return Refusal(400, "Error on URL parameters", "invalid-url", fields=fields)


def serial_taken() -> Refusal:
    """Ours: another token of the account has this serial number."""
    return Refusal(409, "The serial number belongs to another token", "serial-taken", fields={"serie_number": ["Is taken."]})


def no_such_path() -> Refusal:
    """Ours: a path that no route has."""
    return Refusal(404, "Not found")


def too_many_records(most: int) -> Refusal:
    """A mutable device would hold more than `most` records."""
    return Refusal(400, f"The device has reached the limit of {most} data registers", "too-many-records")


def too_many_variables(most: int) -> Refusal:
    """Ours: the device would use more than `most` names of variables."""
    return Refusal(400, f"The device has reached the limit of {most} variables", "too-many-variables")


def too_many_devices(most: int) -> Refusal:
    """Ours."""
    return Refusal(400, f"The account has reached the limit of {most} devices", "too-many-devices")


def time_not_kept(first: str, last: str) -> Refusal:
    """An immutable device keeps chunks of certain days only. first, last: those days, `2026-01-31`."""
    return Refusal(400, f"Time must be between {first} and {last}", "time-not-kept")


def key_reused() -> Refusal:
    """Ours: the Idempotency-Key has named another body within a day."""
    return Refusal(409, "The Idempotency-Key was used with another body", "idempotency-key-reused")


def too_busy() -> Refusal:
    """Ours: more is waiting to be written than this process takes, or it was not written in time."""
    return Refusal(503, "The database is not available now; try again", "too-busy", headers={"Retry-After": "1"})


def invalid_device_token() -> Refusal:
    """There is no such token, or it is another account's."""
    return Refusal(404, "Invalid Device Token")


def invalid_serial() -> Refusal:
    """Ours: no live token has this serial number, or its verification code is another one."""
    return Refusal(404, "Invalid serial number")


def token_lost() -> Refusal:
    """Ours: the service's master key is not the one that sealed the token."""
    return Refusal(409, "The token cannot be read any more; rotate it", "token-lost")


def invalid_param_id() -> Refusal:
    """Ours: the device has no such parameter."""
    return Refusal(404, "Invalid Parameter ID")


def param_changed() -> Refusal:
    """Ours: the parameter has another version than the caller says."""
    return Refusal(409, "The parameter was changed meanwhile", "version-conflict")


def deletion_protected() -> Refusal:
    """Ours: the device has the tag that protects it; TagoIO's changelog names it, not the text."""
    return Refusal(400, "Device is protected from deletion by its tag _deletion_protection", "deletion-protected")


def too_many(what: str, most: int) -> Refusal:
    """Ours: a device has as many of something as it may have."""
    return Refusal(400, f"A device has at most {most} {what}", "too-many")


def too_many_requests(seconds: int) -> Refusal:
    """The token has used up what it may in this minute. seconds: until the next one."""
    return Refusal(429, f"Too many requests (Retry-After: {seconds})", "too-many-requests", headers={"Retry-After": str(seconds)})


def still_active() -> Refusal:
    """Ours: TagoIO's documentation says that it must be disabled, and not the text."""
    return Refusal(400, "Device must be deactivated before it is converted", "still-active")


def not_empty() -> Refusal:
    """Ours, as `still_active`."""
    return Refusal(400, "Device must be empty before it is converted", "not-empty")


def invalid_chunk_id() -> Refusal:
    """Ours: the device has no such chunk."""
    return Refusal(404, "Invalid Chunk ID")


def ids_of_immutable() -> Refusal:
    """Records of an immutable device are not found by their ids."""
    return Refusal(400, "Filter using ID(s) is not supported on Immutable Storage Type", "ids-of-immutable")


def cannot_edit() -> Refusal:
    """The device is immutable."""
    return Refusal(400, "You cannot edit data on immutable device", "cannot-edit")


def too_many_items(most: int) -> Refusal:
    """More than `most` records are to be changed at once."""
    return Refusal(400, f"You have exceeded the maximum number of {most} items in a single request", "too-many-items")


def cannot_delete() -> Refusal:
    """The device is immutable: its records go by whole chunks."""
    return Refusal(400, "Data in immutable devices cannot be deleted", "cannot-delete")


def deletes_numbers() -> Refusal:
    """A query that gives a number or an aggregate names no records to delete."""
    return Refusal(400, "Invalid query", "invalid-query")


def deletes_all() -> Refusal:
    """Ours: which records to delete must be said; one forgotten parameter would delete the wrong ones."""
    return Refusal(400, "Say which data to delete: a filter, or qty", "deletes-all")


def key_too_long(most: int) -> Refusal:
    """Ours: an Idempotency-Key of more than `most` characters."""
    return Refusal(400, f"The Idempotency-Key must have 1 to {most} characters", "invalid-idempotency-key")


def too_slow() -> Refusal:
    """Ours: the query would read too many records."""
    return Refusal(400, "The query takes too long; narrow it by variables, start_date and end_date", "query-too-slow")


def out_of_range() -> Refusal:
    """Ours: no JSON number that clients can read is so great."""
    return Refusal(400, "The result is greater than any number of double precision", "result-out-of-range")


def too_many_live() -> Refusal:
    """Ours: this process holds as many streams as it may."""
    return Refusal(503, "Too many live streams; try again", "too-many-live", headers={"Retry-After": "5"})
