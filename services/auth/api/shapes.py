"""How each object looks as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.auth.access import Verified
from services.auth.models import AccessToken, AuditLine, Client, CutOff, Domain, Person, RoleToken, SigningKey, User
from services.common.clock import isoformat


def moment(value: dt.datetime | None) -> str | None:
    return isoformat(value) if value else None


def domain(one: Domain) -> dict[str, Any]:
    return {"name": one.name, "login_key_lifetime_s": one.login_key_lifetime_s, "created_at": moment(one.created_at)}


def access_token(one: AccessToken, secret: str | None = None) -> dict[str, Any]:
    """secret: only in the answer that makes it."""
    shown = {
        "id": one.id,
        "kind": one.kind,
        "label": one.label,
        "permission": one.permission,
        "policy": list(one.policy),
        "expires_at": moment(one.expires_at),
        "last_used_at": moment(one.last_used_at),
        "created_at": moment(one.created_at),
    }
    return {**shown, "secret": secret} if secret else shown


def role_token(one: RoleToken, token: str | None = None) -> dict[str, Any]:
    shown = {
        "jti": one.jti,
        "subject": one.subject,
        "label": one.label,
        "not_before": moment(one.not_before),
        "expires_at": moment(one.expires_at),
        "issued_at": moment(one.issued_at),
    }
    return {**shown, "token": token} if token else shown


def cut_off(one: CutOff) -> dict[str, Any]:
    return {"subject": one.subject, "cut_off": moment(one.cut_off)}


def client(one: Client, secret: str | None = None) -> dict[str, Any]:
    shown = {
        "client_id": one.id,
        "name": one.name,
        "redirect_uris": list(one.redirect_uris),
        "grants": list(one.grants),
        "service": one.service,
        "public": one.secret_digest is None,
        "created_at": moment(one.created_at),
    }
    return {**shown, "client_secret": secret} if secret else shown


def signing_key(one: SigningKey, published: bool) -> dict[str, Any]:
    return {
        "kid": one.kid,
        "algorithm": one.algorithm,
        "created_at": moment(one.created_at),
        "retired_at": moment(one.retired_at),
        "current": bool(one.current),
        "published": published,
    }


def audit_line(one: AuditLine) -> dict[str, Any]:
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


def verified_token(one: Verified) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "id": one.id,
        "subject": one.subject,
        "label": one.label,
        "user": user_shown(one.user) if one.user else None,
        "permission": one.permission,
        "policy": one.policy,
        "scope": one.scope,
        "client_id": one.client_id,
        "expires_at": isoformat(one.expires_at) if one.expires_at else None,
    }


def user_shown(user: User | Person) -> dict[str, Any]:
    """A user as JSON."""
    return {
        "id": user.id,
        "email": user.email,
        "full_name": user.full_name,
        "domain": user.domain,
        "level": user.level,
        "active": user.active,
        "layer_domains": list(user.layer_domains),
        "created_at": isoformat(user.created_at),
        "last_login_at": isoformat(user.last_login_at) if user.last_login_at else None,
    }
