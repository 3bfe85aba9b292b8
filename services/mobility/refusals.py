"""Every way the service says no. The texts are the original's where it has one; the status numbers are better ones.

`fields` stand in the answer beside `status` and `message` (`web.render_error`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.common.refusal import Refusal


def not_authorized() -> Refusal:
    """No session key, one that is unknown or has ended, or a wrong e-mail or password."""
    return Refusal(401, "Not Authorized", "not-authorized")


def token_refused(reason: str) -> Refusal:
    """A token of the house that does not count. reason: auth's."""
    return Refusal(401, reason, "token-refused", headers={"WWW-Authenticate": "Bearer"})


def out_of_scope() -> Refusal:
    """An application's token, and the person has not allowed the application this."""
    return Refusal(403, "This token may not change mobility data.", "out-of-scope")


def too_many_failures(reason: str, headers: Mapping[str, str]) -> Refusal:
    """Too many wrong passwords. reason, headers: auth's."""
    return Refusal(429, reason, "too-many-failures", headers=headers)


def auth_unavailable() -> Refusal:
    """The auth service does not answer."""
    return Refusal(503, "Accounts cannot be checked now; try again.", "auth-unavailable", headers={"Retry-After": "1"})


def needs_https() -> Refusal:
    """A password must not travel in the open."""
    return Refusal(403, "Ask for a session key over HTTPS: a password must not travel in plain HTTP.", "needs-https")


def session_busy(left_s: int) -> Refusal:
    """The owner has a live session. left_s: seconds until it ends, unless it is used."""
    return Refusal(409, "session busy", "session-busy", fields={"results": ["session busy"]}, headers={"Retry-After": str(max(1, left_s))})


def invalid_layer_spec(name: str) -> Refusal:
    """There is no such layer, or a write names several."""
    return Refusal(404, f"Invalid layer spec: {name}", "invalid-layer-spec")


def not_authorized_for_layer(name: str) -> Refusal:
    return Refusal(403, f"Not authorized for layer '{name}'.", "not-authorized-for-layer")


def not_authorized_for_domain(domain: str) -> Refusal:
    return Refusal(403, f"Not authorized for domain '{domain}'.", "not-authorized-for-domain")


def node_not_found(cdk_id: str, where: Mapping[str, Any] | None = None) -> Refusal:
    """In a write. where: the index of the node in a bulk."""
    return Refusal(404, f"Node '{cdk_id}' not found.", "node-not-found", fields=where)


def member_not_found(cdk_id: str, where: Mapping[str, Any] | None = None) -> Refusal:
    """There is no such node that a route goes through: a route in a bulk, or routes that are sought."""
    return Refusal(422, f"Nonexistent cdk_id --> {cdk_id}", "member-not-found", fields=where)


def cdk_id_not_unique(cdk_id: str, where: Mapping[str, Any]) -> Refusal:
    """Two nodes of a bulk are the same, or another node has this cdk_id already."""
    return Refusal(422, f"cdk_id must be unique: '{cdk_id}'", "cdk-id-not-unique", fields=where)


def no_such_node(cdk_id: str) -> Refusal:
    """In a read."""
    return Refusal(404, f"Node not found: '{cdk_id}'", "node-not-found")


def json_invalid(reason: str) -> Refusal:
    """reason: what is wrong, and where."""
    return Refusal(422, f"Error parsing JSON - {reason}", "json-invalid")


def body_too_large(limit: int) -> Refusal:
    """limit: bytes."""
    return Refusal(413, f"The body has more than {limit:,} bytes. Send less at a time.", "body-too-large")


def too_many_large_bodies() -> Refusal:
    """Others with large bodies are at work."""
    return Refusal(503, "Too many large requests are at work; try again.", "too-many-large-bodies", headers={"Retry-After": "2"})


def unknown_layer(name: str) -> Refusal:
    """In a read of layers."""
    return Refusal(404, f"Unknown layer or invalid layer spec: {name}", "unknown-layer")


def permanent_layer() -> Refusal:
    return Refusal(422, "OSM, GTFS or ADMR layers cannot be deleted..", "permanent-layer")


def not_finished() -> Refusal:
    """A layer with so much data that one request does not delete it."""
    message = "Much of the layer's data is deleted, not all. Send the request again, until it is done."
    return Refusal(503, message, "not-finished", headers={"Retry-After": "1"})


def data_missing() -> Refusal:
    """In a call on layers."""
    return Refusal(422, "Data missing..", "data-missing")


def no_data() -> Refusal:
    return Refusal(422, "No 'data' found in post.", "no-data")


def data_nested(where: Mapping[str, Any] | None = None) -> Refusal:
    """where: such as the index of the node."""
    return Refusal(422, "'data' object in POST data cannot contain arrays or objects", "data-nested", fields=where)


def invalid(message: str, code: str = "invalid", where: Mapping[str, Any] | None = None) -> Refusal:
    """message: what is wrong and what to do. where: such as the index of the node."""
    return Refusal(422, message, code, fields=where)


def record_changed() -> Refusal:
    """The record is not the one that If-Match names, or is the one that If-None-Match excludes."""
    return Refusal(
        412,
        "The condition in If-Match or If-None-Match is not met: read again what the layer says of the node, and send its ETag.",
        "record-changed",
    )


def srid_invalid(given: object, where: Mapping[str, Any] | None = None) -> Refusal:
    """There is no such coordinate system, or none with a longitude or x. where: such as the index of the node."""
    shown = "…" if isinstance(given, (list, dict)) else str(given)[:100]
    return invalid(f"Invalid 'srid' parameter supplied. ({shown}).", "srid-invalid", where)


def geometry_invalid(reason: str, where: Mapping[str, Any] | None = None) -> Refusal:
    """reason: what is wrong with it; empty: it is a collection. where: such as the index of the node."""
    if not reason:
        return invalid("GeoJSON GeometryCollections are not allowed as object geometry", "geometry-invalid", where)
    return invalid(f"Invalid GeoJSON geometry encountered: {reason}", "geometry-invalid", where)


def invalid_fields(fields: Mapping[str, Sequence[str]]) -> Refusal:
    """A layer whose fields are wrong: the message is an object, as in the original."""
    return Refusal(422, "Some fields are not valid.", "invalid-fields", fields={"message": fields})


def match_too_slow(longest_s: int) -> Refusal:
    """longest_s: seconds that a request to match may take."""
    text = f"Matching takes longer than {longest_s} s: send fewer nodes at once, a smaller radius, or 'layers' that fewer nodes have."
    return Refusal(422, text, "match-too-slow")


def containing_node_not_found(cdk_id: str) -> Refusal:
    """In `/<cdk_id>/nodes`."""
    return Refusal(404, f"Containing node not found: {cdk_id}", "node-not-found")


def layer_not_found(name: str) -> Refusal:
    """In a read."""
    return Refusal(404, f"Layer not found: '{name}'", "layer-not-found")


def no_layer_data(layer: str, cdk_id: str) -> Refusal:
    """A key is asked for, and the layer says nothing of the node."""
    return Refusal(404, f"No {layer} layer data for node '{cdk_id}'", "no-layer-data")


def layer_separators() -> Refusal:
    return Refusal(
        422,
        "Layer parameter cannot contain a combination of '|' and ',' characters. Use '|' to request nodes with data on any of the "
        "specified layers, use ',' for nodes with data on all of the specified layers.",
        "layer-separators",
    )


def layer_wildcard() -> Refusal:
    message = "You can only use wildcards in layer names directly after a name separator (e.g. osm.*)"
    return Refusal(422, message, "layer-wildcard")


def filter_separators() -> Refusal:
    return Refusal(
        422,
        "'data_op=or' can only be used in combination with 'layer::key=a|b|c', 'data_op=and' can only be used in combination with "
        "'layer::key=a,b,c'. Default is 'and'.",
        "filter-separators",
    )


def parameter(name: str, value: str, reason: str) -> Refusal:
    """A parameter of the address is wrong. reason: what it should be."""
    return Refusal(422, f"Invalid '{name}' parameter supplied ({value}): {reason}.", "parameter-invalid")


def query_too_slow(seconds: float) -> Refusal:
    return Refusal(
        422,
        f"The query takes longer than {seconds:g} s. Ask for less: a smaller radius or box, a layer, fewer pages, no count.",
        "query-too-slow",
    )


def page_too_large(what: str) -> Refusal:
    """Nodes of one page have too much of something. what: geometries or data."""
    return Refusal(
        422, f"The {what} of the nodes on this page are too large: ask for a smaller per_page, or without {what}.", "page-too-large"
    )


def page_too_deep(most: int) -> Refusal:
    return Refusal(
        422, f"Of results in order of distance or likeness only the first {most} can be read. Ask for less at a time.", "page-too-deep"
    )
