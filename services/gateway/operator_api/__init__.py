"""The operator API: `/api` and `/tyk`, a module for each part. `blueprints` gives them all."""

from __future__ import annotations

from flask import Blueprint

from services.gateway.operator_api import apis, deliveries, gateway_apis, gateway_keys, hooks, keys, revisions


def blueprints() -> list[Blueprint]:
    return [part.blueprint for part in (apis, keys, hooks, revisions, deliveries, gateway_apis, gateway_keys)]
