"""Resources of the Tyk Operator: what `ApiDefinition` and `SecurityPolicy` of a Kubernetes cluster mean.

The Operator finds other resources and secrets of the cluster by their names. Other APIs become `tyk://` and the id that the Operator gives
them; secrets are not here, and are never left out in silence.
Source: Tyk Operator 0.17 (defaults of its webhook, ids that it gives, internal routes, shares written as text).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.gateway.cli.importing import definitions
from services.gateway.cli.importing.items import Item

_GROUP: Final = "tyk.tyk.io/"
_DEFAULT_NAMESPACE: Final = "default"
# Fields that name secrets of the cluster.
_SECRETS: Final = ("client_certificate_refs", "upstream_certificate_refs", "pinned_public_keys_refs", "certificate_secret_names")
# Fields that name another ApiDefinition of the cluster, wherever they stand, and the fields that they are written into.
_LOOPS: Final = {"target_internal": "target_url", "rewrite_to_internal": "rewrite_to"}
_ROUTED: Final = frozenset({"proxy", "version_data"})
# A resource has no fractions: the Operator reads them from text.
_SHARES: Final = frozenset({"threshold_percent"})
_NO_API: Final = "must name another API of the cluster, by `target` with a `name`"
_RIGHTS_WRONG: Final = "access_rights must be an object, and access_rights_array a list"
_ONLY_HERE: Final = frozenset({"contextRef", "context", *_SECRETS})


def is_resource(document: Any) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get("apiVersion"), str) and isinstance(document.get("kind"), str)


def listed(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the resources of a document: of `kubectl get -o json`, all in its list."""
    items = document.get("items")
    if document["kind"].endswith("List") and isinstance(items, list):
        for one in items:
            if is_resource(one):
                yield from listed(one)
    else:
        yield document


def item(resource: Mapping[str, Any], source: str) -> Item | str:
    """Return a resource as an item, or why it is none."""
    kind, spec = resource["kind"], resource.get("spec")
    if not resource["apiVersion"].startswith(_GROUP):
        return f"{kind}: not a resource of Tyk"
    if kind not in ("ApiDefinition", "SecurityPolicy") or not isinstance(spec, Mapping):
        return f"{kind}: only ApiDefinition and SecurityPolicy are taken along"
    return _definition(resource, spec, source) if kind == "ApiDefinition" else _policy(resource, spec, source)


def _definition(resource: Mapping[str, Any], spec: Mapping[str, Any], source: str) -> Item:
    status = resource.get("status")
    given = spec.get("api_id") or (status.get("api_id") if isinstance(status, Mapping) else None)
    namespace, own_name = _own_place(resource)
    unnamed: list[str] = []
    body = {name: value for name, value in spec.items() if name not in _ONLY_HERE}
    for name in _ROUTED & body.keys():
        body[name] = _resolved(body[name], namespace, f"/{name}", unnamed)
    body["api_id"] = str(given or _id_of(namespace, own_name))
    data = spec.get("version_data")
    if not (isinstance(data, Mapping) and data.get("versions")):
        body["version_data"] = {"not_versioned": True, "default_version": "Default", "versions": {"Default": {"name": "Default"}}}
    configs = spec.get("auth_configs") or {}
    if spec.get("use_standard_auth") is True and isinstance(configs, Mapping) and "authToken" not in configs:
        body["auth_configs"] = {**configs, "authToken": {"auth_header_name": "Authorization"}}
    found = definitions.definition(body, source)
    secrets = [name for name in _SECRETS if spec.get(name)]
    return found.noting(
        refused=[
            *(f"/{name}: names secrets of the cluster, which are not here: write what is in them in its place" for name in secrets),
            *(f"{place}: {_NO_API}" for place in unnamed),
        ]
    )


def _resolved(value: Any, namespace: str, pointer: str, unnamed: list[str]) -> Any:
    """Return a value of a definition as a Tyk reads it: other APIs by `tyk://`, shares as numbers.

    namespace: of the resource. unnamed: takes the pointers of what should name an API and does not.
    """
    if isinstance(value, list):
        return [_resolved(member, namespace, f"{pointer}/{index}", unnamed) for index, member in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    found = {
        name: _share(member) if name in _SHARES else _resolved(member, namespace, f"{pointer}/{name}", unnamed)
        for name, member in value.items()
        if name not in _LOOPS
    }
    for name in _LOOPS.keys() & value.keys():
        url = _loop(value[name], namespace)
        if url:
            found[_LOOPS[name]] = url
        elif value[name]:
            unnamed.append(f"{pointer}/{name}")
    return found


def _loop(route: Any, namespace: str) -> str:
    """Return the `tyk://` of an internal route, "" = it names no API."""
    target = route.get("target") if isinstance(route, Mapping) else None
    if not isinstance(target, Mapping) or not isinstance(target.get("name"), str) or not target["name"]:
        return ""
    path, query = str(route.get("path") or ""), str(route.get("query") or "")
    id = _id_of(str(target.get("namespace") or namespace), target["name"])
    return f"tyk://{id}/{path.lstrip('/')}{'?' if query else ''}{query}"


def _share(value: Any) -> Any:
    """Return a number that is written as text; anything else as it is, for the gateway to name."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _policy(resource: Mapping[str, Any], spec: Mapping[str, Any], source: str) -> Item:
    status = resource.get("status")
    of_status = status.get("pol_id") if isinstance(status, Mapping) else None
    body = {name: value for name, value in spec.items() if name not in (*_ONLY_HERE, "access_rights_array", "_id")}
    id = str(spec.get("id") or spec.get("_id") or of_status or _id_of(*_own_place(resource)))
    given, listed = spec.get("access_rights") or {}, spec.get("access_rights_array") or []
    if not isinstance(given, Mapping) or not isinstance(listed, list):
        return definitions.policy({**body, "access_rights": given}, source, id).noting(refused=(_RIGHTS_WRONG,))
    rights = dict(given)
    for right in listed:
        if isinstance(right, Mapping):
            api_id = str(right.get("api_id") or _id_of(str(right.get("namespace") or _DEFAULT_NAMESPACE), str(right.get("name") or "")))
            kept = {name: value for name, value in right.items() if name not in ("namespace", "name")}
            rights[api_id] = {**kept, "api_id": api_id}
    return definitions.policy({**body, "access_rights": rights}, source, id)


def linked(item: Item, ids: Mapping[str, str]) -> Item:
    """Return a definition or a policy that names definitions by the ids that they have.

    ids: the Operator's own → the one that was written.
    """
    if item.kind == "api":
        item.body.update({name: _routed(item.body[name], ids) for name in _ROUTED & item.body.keys()})
        return item
    rights = item.body.get("access_rights")
    if not isinstance(rights, Mapping) or not ids.keys() & rights.keys():
        return item
    named = {ids.get(api_id, api_id): {**right, "api_id": ids.get(api_id, api_id)} for api_id, right in rights.items()}
    item.body["access_rights"] = named
    return item


def _routed(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_routed(member, ids) for member in value]
    if isinstance(value, Mapping):
        return {name: _routed(member, ids) for name, member in value.items()}
    if isinstance(value, str) and value.startswith("tyk://"):
        id, slash, rest = value.removeprefix("tyk://").partition("/")
        return f"tyk://{ids.get(id, id)}{slash}{rest}"
    return value


def ids(resource: Mapping[str, Any], api: Item) -> dict[str, str]:
    """Return the id that the Operator would have given to a definition, and the one that it has."""
    return {_id_of(*_own_place(resource)): api.id}


def _own_place(resource: Mapping[str, Any]) -> tuple[str, str]:
    metadata = resource.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else {}
    return str(named.get("namespace") or _DEFAULT_NAMESPACE), str(named.get("name") or "")


def _id_of(namespace: str, name: str) -> str:
    """Return the id that the Operator gives: the base64 of `namespace/name`, for URLs and without padding."""
    return base64.urlsafe_b64encode(f"{namespace}/{name}".encode()).decode().rstrip("=")
