"""Audit lines as JSON."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from services.auth import models
from services.auth.schemas import ALWAYS, OR_NULL, TEXT, Listed, Moment, Page, moment, visible


class AuditPage(Page):
    action = fields.String(validate=TEXT)
    actor_id = fields.String(validate=TEXT)
    target = fields.String(validate=[validate.Length(max=254), visible])
    since = Moment()
    until = Moment()


class AuditLine(Schema):
    id = fields.Integer(**ALWAYS)
    at = fields.DateTime(**ALWAYS)
    action = fields.String(**ALWAYS)
    actor_id = fields.String(**OR_NULL)
    actor = fields.String(**ALWAYS)
    target = fields.String(**OR_NULL)
    address = fields.String(**OR_NULL)
    request_id = fields.String(**OR_NULL)
    details = fields.Dict(keys=fields.String(), **ALWAYS)


class AuditList(Listed):
    items = fields.List(fields.Nested(AuditLine), **ALWAYS)


def audit_line(one: models.AuditLine) -> dict[str, Any]:
    """Return an audit line as JSON."""
    return {
        "id": one.id,
        "at": moment(one.at),
        "action": one.action,
        "actor_id": one.actor_id,
        "actor": one.actor,
        "target": one.target,
        "address": one.address,
        "request_id": one.request_id,
        "details": one.details,
    }
