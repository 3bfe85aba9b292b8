"""What policies make of a key: its rights, its limits, and whether it is active (Tyk 1.6; `apply_policies` from 2.4).

A policy has the form of a session: `access_rights`, `rate` and `per`, `quota_max` and `quota_renewal_rate`, `is_inactive`, `tags`,
`meta_data`, `hmac_enabled`. `partitions` says which parts of it count: `acl`, `rate_limit`, `quota`; none = all of them. `per_api` gives
each of its APIs limits of its own. What a policy says takes the place of what the key says itself.

Several policies are joined: rights to all their APIs, and of their limits the most generous. One that does not speak of a limit, or says 0,
does not lift those of the others; -1 does. So it is with the rates of single paths and methods (`endpoints`). As in Tyk, APIs of different
policies have limits apart. Differs from Tyk: rate and span are compared together, not each by itself; a right to every path stays one
beside a right to some; a policy that does not exist switches the key off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final, NamedTuple

_PARTS: Final = ("acl", "rate_limit", "quota")
_NONE: Final = (0.0, 0.0)
_UNLIMITED: Final = (-1.0, -1.0)  # zeros would say nothing, and leave it to what the key says itself


def policy_ids(session: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the policies that a session names, in their order: `apply_policies`, or else the one of `apply_policy_id`."""
    named = session.get("apply_policies") or ([session["apply_policy_id"]] if session.get("apply_policy_id") else [])
    return tuple(dict.fromkeys(named))


def effective(session: Mapping[str, Any], policies: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return what a session says with its policies. policies: in their order; None = it does not exist."""
    found = [policy for policy in policies if policy is not None]
    if not policies:
        return dict(session)
    joined = {**session, **_of_all(session, found)}
    rights, candidates, of_key = _rights(found)
    limiting = {candidate.scope for of_api in candidates.values() for candidate in of_api}
    if len(limiting) == 1 and not any(_partitions(policy).get("per_api") for policy in found):
        of_key += next(iter(candidates.values()))[:1]
        candidates = {}
    joined |= _limits(of_key)
    for api_id, of_api in candidates.items():
        limit = {name: joined.get(name) or 0 for name in _NAMES} | _limits([*of_api, *of_key])
        rights[api_id] |= {"limit": limit, "allowance_scope": _most_generous([*of_api, *of_key]).scope or api_id}
    if any("acl" in _parts(policy) for policy in found if policy.get("access_rights")):
        joined["access_rights"] = rights
    joined["is_inactive"] = bool(session.get("is_inactive")) or len(found) < len(policies) or any(map(_is_off, found))
    return joined


class _Candidate(NamedTuple):
    """The limits of one policy, for one API or for all. rate, quota: None = they do not count. scope: what they are counted by."""

    scope: str
    rate: tuple[float, float] | None
    quota: tuple[float, float] | None


_NAMES: Final = ("rate", "per", "quota_max", "quota_renewal_rate")


def _partitions(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    return policy.get("partitions") or {}


def _parts(policy: Mapping[str, Any]) -> set[str]:
    partitions = _partitions(policy)
    chosen = {part for part in _PARTS if partitions.get(part)}
    return set(_PARTS) if partitions.get("per_api") or not chosen else chosen


def _is_off(policy: Mapping[str, Any]) -> bool:
    return bool(policy.get("is_inactive")) or policy.get("active") is False


def gives_rights(policy: Mapping[str, Any]) -> bool:
    """Whether a key that names this policy surely has rights to certain APIs, and so none to all others."""
    return bool(policy.get("access_rights")) and "acl" in _parts(policy)


def _of_all(session: Mapping[str, Any], policies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join what needs no choice."""
    tags, meta = list(session.get("tags") or ()), dict(session.get("meta_data") or {})
    hmac_enabled = bool(session.get("hmac_enabled"))
    for policy in policies:
        tags += [tag for tag in policy.get("tags") or () if tag not in tags]
        meta |= policy.get("meta_data") or {}
        hmac_enabled = hmac_enabled or bool(policy.get("hmac_enabled"))
    return {"tags": tags, "meta_data": meta, "hmac_enabled": hmac_enabled}


def _rights(policies: Iterable[Mapping[str, Any]]) -> tuple[dict[str, dict[str, Any]], dict[str, list[_Candidate]], list[_Candidate]]:
    """Join the rights. Return them, the limits of single APIs, and those of the whole key."""
    rights: dict[str, dict[str, Any]] = {}
    candidates: dict[str, list[_Candidate]] = {}
    of_key: list[_Candidate] = []
    for policy in policies:
        parts, per_api = _parts(policy), bool(_partitions(policy).get("per_api"))
        granted = (policy.get("access_rights") or {}) if "acl" in parts else {}
        own = _candidate(policy, str(policy.get("id") or ""), parts)
        for api_id, right in granted.items():
            joined = _joined_right(rights.get(api_id), right or {})
            endpoints = _joined_endpoints(joined.pop("endpoints", ()), (right or {}).get("endpoints") if "rate_limit" in parts else ())
            rights[api_id] = {**joined, "endpoints": endpoints} if endpoints else joined
            limit = (right or {}).get("limit") or {}
            apart = per_api and any(limit.get(name) for name in _NAMES)
            candidates.setdefault(api_id, []).append(_candidate(limit, api_id, parts) if apart else own)
        if not granted:
            of_key.append(own)
    return rights, {api_id: limits for api_id, limits in candidates.items() if any(one.rate or one.quota for one in limits)}, of_key


def _candidate(limited: Mapping[str, Any], scope: str, parts: set[str]) -> _Candidate:
    rate, per, quota, renewal = (float(limited.get(name) or 0) for name in _NAMES)
    return _Candidate(scope, (rate, per) if "rate_limit" in parts else None, (quota, renewal) if "quota" in parts else None)


def _joined_right(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in other.items() if name not in ("limit", "allowance_scope", "endpoints")}
    if one is None:
        return kept
    urls = [*(one.get("allowed_urls") or ()), *(other.get("allowed_urls") or ())]
    some_paths = bool(one.get("allowed_urls")) and bool(other.get("allowed_urls"))
    versions = list(dict.fromkeys([*(one.get("versions") or ()), *(other.get("versions") or ())]))
    return {**one, **kept, "versions": versions, "allowed_urls": urls if some_paths else []}


def _joined_endpoints(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Join rates of paths and methods: of the same, the most generous counts."""
    rates: dict[tuple[str, str], Mapping[str, float]] = {}
    for endpoint in (*one, *(other or ())):
        for method in endpoint["methods"]:
            place, limit = (endpoint["path"], method["name"]), method["limit"]
            rates[place] = max((rates.get(place, limit), limit), key=lambda rate: (_speed((rate["rate"], rate["per"])), rate["rate"]))
    found: dict[str, list[dict[str, Any]]] = {}
    for (path, name), limit in rates.items():
        found.setdefault(path, []).append({"name": name, "limit": limit})
    return [{"path": path, "methods": methods} for path, methods in found.items()]


def _limits(candidates: Iterable[_Candidate]) -> dict[str, float]:
    """Return the most generous limits, without those that nobody sets."""
    listed = list(candidates)
    rates, quotas = [one.rate for one in listed if one.rate], [one.quota for one in listed if one.quota]
    found: dict[str, float] = {}
    if rates:
        best = max(rates, key=_speed)
        found["rate"], found["per"] = best if 0 < _speed(best) < inf else _UNLIMITED
    if quotas:
        best = max(quotas, key=_amount)
        found["quota_max"], found["quota_renewal_rate"] = best if 0 < _amount(best) < inf else _UNLIMITED
    return found


def _most_generous(candidates: Sequence[_Candidate]) -> _Candidate:
    """Return the one whose counters are taken from: of the quota, or else of the rate."""
    return max(candidates, key=lambda one: (_amount(one.quota or _NONE), _speed(one.rate or _NONE)))


def _speed(rate: tuple[float, float]) -> float:
    """Return requests a second; below 0 is no limit, and 0, or a span of 0, says nothing."""
    if rate[0] < 0:
        return inf
    return rate[0] / rate[1] if rate[1] > 0 else 0.0


def _amount(quota: tuple[float, float]) -> float:
    return inf if quota[0] < 0 else quota[0]
