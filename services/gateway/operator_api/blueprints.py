"""All blueprints of the operator API."""

from __future__ import annotations

from flask import Blueprint

from services.gateway.operator_api import (
    api_activity,
    api_apis,
    api_audit,
    api_certificates,
    api_deliveries,
    api_hooks,
    api_import,
    api_keys,
    api_lint,
    api_oauth,
    api_policies,
    api_revisions,
    api_users,
    api_workers,
    tyk_apis,
    tyk_cache,
    tyk_certificates,
    tyk_health,
    tyk_hello,
    tyk_keys,
    tyk_oauth,
    tyk_organisations,
    tyk_policies,
)


def blueprints() -> list[Blueprint]:
    """Return the blueprints of `/api` (`api_*.py`), and those of Tyk's gateway API (`tyk_*.py`)."""
    parts = (
        *(api_apis, api_keys, api_hooks, api_revisions, api_lint, api_workers, api_deliveries, api_policies, api_certificates, api_oauth),
        *(api_users, api_audit, api_import, api_activity),
        *(tyk_apis, tyk_cache, tyk_keys, tyk_organisations, tyk_policies, tyk_certificates, tyk_oauth, tyk_health, tyk_hello),
    )
    return [part.blueprint for part in parts]
