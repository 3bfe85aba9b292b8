"""Resources of the Tyk Operator: what `ApiDefinition` and `SecurityPolicy` of a Kubernetes cluster mean.

The Operator finds other resources and secrets of the cluster by their names. Those that are not here are never left out in silence.
Source: Tyk Operator 0.17 (defaults of its webhook, ids that it gives).
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
# Fields that name another ApiDefinition of the cluster, wherever they stand.
_LOOPS: Final = frozenset({"target_internal", "rewrite_to_internal"})
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
    body = {name: value for name, value in spec.items() if name not in _ONLY_HERE}
    body["api_id"] = str(given or _id_of(*_own_place(resource)))
    data = spec.get("version_data")
    if not (isinstance(data, Mapping) and data.get("versions")):
        body["version_data"] = {"not_versioned": True, "default_version": "Default", "versions": {"Default": {"name": "Default"}}}
    configs = spec.get("auth_configs") or {}
    if spec.get("use_standard_auth") is True and isinstance(configs, Mapping) and "authToken" not in configs:
        body["auth_configs"] = {**configs, "authToken": {"auth_header_name": "Authorization"}}
    found = definitions.definition(body, source)
    secrets = [name for name in _SECRETS if spec.get(name)]
    loops = sorted(set(_loops(spec)))
    return found.noting(
        refused=[
            *(f"/{name}: names secrets of the cluster, which are not here: write what is in them in its place" for name in secrets),
            *(f"{place}: names another API of the cluster, which is not looked up: write `tyk://` and its api_id" for place in loops),
        ]
    )


def _loops(value: Any, pointer: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name in _LOOPS and member:
                yield f"{pointer}/{name}"
            yield from _loops(member, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _loops(member, f"{pointer}/{index}")


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


def linked(policy: Item, ids: Mapping[str, str]) -> Item:
    """Return a policy whose rights name definitions by the ids that they have. ids: the Operator's own → the one that was written."""
    rights = policy.body.get("access_rights")
    if not isinstance(rights, Mapping) or not ids.keys() & rights.keys():
        return policy
    named = {ids.get(api_id, api_id): {**right, "api_id": ids.get(api_id, api_id)} for api_id, right in rights.items()}
    policy.body["access_rights"] = named
    return policy


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
