"""Tables of the auth service. Secrets are never kept: passwords as argon2id, everything random as its SHA-256."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.auth.credentials.rules import emails
from services.auth.oauth.rules import redirects
from services.common.database import Conventions, SQLAlchemy


class Base(Conventions, DeclarativeBase):
    """What all tables of the service share."""


db = SQLAlchemy(model_class=Base)

ID = sa.String(36)
DIGEST = sa.String(64)


def _user() -> Mapped[str]:
    return mapped_column(ID, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)


class Domain(Base):
    """A group of users with a common administration. login_key_lifetime_s: seconds a login key of its users lives."""

    __tablename__ = "domains"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    login_key_lifetime_s: Mapped[int]
    created_at: Mapped[dt.datetime]


class User(Base):
    """A person. email as written; email_key is compared, email_skeleton is shared by look-alikes; version counts the changes (ETag)."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    email_key: Mapped[str] = mapped_column(sa.String(emails.MAX_KEY), unique=True)
    email_skeleton: Mapped[str] = mapped_column(sa.String(emails.MAX_KEY), unique=True)
    full_name: Mapped[str] = mapped_column(sa.String(200))
    domain: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("domains.name"), index=True)
    level: Mapped[str] = mapped_column(sa.String(16))
    active: Mapped[bool]
    layer_domains: Mapped[list[Any]]
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[dt.datetime]
    last_login_at: Mapped[dt.datetime | None]
    version: Mapped[int]


class Person(NamedTuple):
    """A user as read at one moment, without the ORM: for what is asked hundreds of times a second."""

    id: str
    email: str
    full_name: str
    domain: str
    level: str
    active: bool
    layer_domains: list[Any]
    password_hash: str
    created_at: dt.datetime
    last_login_at: dt.datetime | None
    version: int


PERSON: tuple[sa.ColumnElement[Any], ...] = tuple(User.__table__.c[name] for name in Person._fields)


def person_in(columns: tuple[Any, ...]) -> Person | None:
    """Read the person in the last columns of a row; None when there is none."""
    found = Person(*columns[-len(PERSON) :])
    return found if found.id is not None else None


class LoginKey(Base):
    """A secret that replaces the password for a while; one for each user."""

    __tablename__ = "login_keys"

    user_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]


class AccessToken(Base):
    """A user's token for programs. policy: list of {resource, actions}, for kinds `analysis` and `middleware`.

    by_login_key: created with the login key, so it ends when the key does.
    """

    __tablename__ = "access_tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = _user()
    kind: Mapped[str] = mapped_column(sa.String(10))
    label: Mapped[str] = mapped_column(sa.String(100))
    permission: Mapped[str] = mapped_column(sa.String(5))
    policy: Mapped[list[Any]]
    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    expires_at: Mapped[dt.datetime | None]
    last_used_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    by_login_key: Mapped[bool]


class RoleToken(Base):
    """What a role token says; the token itself is not kept. kid: the key that signed it, which must stay published."""

    __tablename__ = "role_tokens"

    jti: Mapped[str] = mapped_column(ID, primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(10), index=True)
    label: Mapped[str] = mapped_column(sa.String(100))
    not_before: Mapped[dt.datetime | None]
    expires_at: Mapped[dt.datetime | None]
    issued_at: Mapped[dt.datetime]
    kid: Mapped[str] = mapped_column(sa.String(43), index=True)
    revoked_at: Mapped[dt.datetime | None]


class CutOff(Base):
    """Role tokens of the subject that were issued earlier are refused."""

    __tablename__ = "cut_offs"

    subject: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    cut_off: Mapped[dt.datetime]


class Client(Base):
    """An OAuth2 client. secret_digest: None for one that cannot keep a secret (PKCE alone). service: may ask `/verify/*`."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    secret_digest: Mapped[str | None] = mapped_column(DIGEST)
    redirect_uris: Mapped[list[Any]]
    grants: Mapped[list[Any]]
    service: Mapped[bool]
    created_at: Mapped[dt.datetime]


class Grant(Base):
    """One sign-in and all refresh tokens that follow from it (the family). method: `password`, `login_key` or `code`."""

    __tablename__ = "grants"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = _user()
    client_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("clients.id", ondelete="CASCADE"), index=True)
    scope: Mapped[str] = mapped_column(sa.String(200))
    method: Mapped[str] = mapped_column(sa.String(10))
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
    revoked_at: Mapped[dt.datetime | None]


class RefreshToken(Base):
    """One link of a family; spent when it was exchanged for the next one."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    grant_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("grants.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]
    spent_at: Mapped[dt.datetime | None]


class AuthorizationCode(Base):
    """A code between consent and token. grant_id: what it was exchanged for, ended when the code comes again (RFC 6749 4.1.2)."""

    __tablename__ = "authorization_codes"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    client_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("clients.id", ondelete="CASCADE"))
    user_id: Mapped[str] = _user()
    redirect_uri: Mapped[str] = mapped_column(sa.String(redirects.LONGEST))
    scope: Mapped[str] = mapped_column(sa.String(200))
    nonce: Mapped[str | None] = mapped_column(sa.String(255))
    challenge: Mapped[str] = mapped_column(sa.String(128))
    auth_time: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
    grant_id: Mapped[str | None] = mapped_column(ID)


class RevokedToken(Base):
    """An access JWT that was revoked before its end; deleted when it has expired."""

    __tablename__ = "revoked_tokens"

    jti: Mapped[str] = mapped_column(ID, primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class SigningKey(Base):
    """A key pair. sealed: the private key, encrypted by the master key. current: true for the one that signs, NULL for all others."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(sa.String(43), primary_key=True)
    algorithm: Mapped[str] = mapped_column(sa.String(5))
    public_jwk: Mapped[dict[str, Any]]
    sealed: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime]
    retired_at: Mapped[dt.datetime | None]
    current: Mapped[bool | None] = mapped_column(unique=True)


class BrowserSession(Base):
    """A sign-in on the pages."""

    __tablename__ = "browser_sessions"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    user_id: Mapped[str] = _user()
    method: Mapped[str] = mapped_column(sa.String(10))
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class Note(Base):
    """What a page tells once. session: the digest of the sign-in that it belongs to.

    sealed: under a key from the cookie's secret, which is not kept; empty when it was read.
    """

    __tablename__ = "notes"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    session: Mapped[str] = mapped_column(DIGEST, sa.ForeignKey("browser_sessions.digest", ondelete="CASCADE"), index=True)
    sealed: Mapped[str] = mapped_column(sa.Text)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class Failure(Base):
    """Failed log-ins. counter: `at:` with the digest of an account and a place, `account:` with that of an account, `own:` with that of a
    sign-in (what was typed may be a password by mistake), or `address:` with the address. count: 0 for a place that was told to wait.
    """

    __tablename__ = "failures"

    counter: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    count: Mapped[int]
    last_at: Mapped[dt.datetime] = mapped_column(index=True)


class Familiar(Base):
    """A place from which an account was signed in to by its password lately. place: the counter `at:…` of its failures from there."""

    __tablename__ = "familiar"

    place: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    user_id: Mapped[str] = _user()
    seen_at: Mapped[dt.datetime] = mapped_column(index=True)


class AuditLine(Base):
    """Who did what to whom, when, from where."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(sa.String(40), index=True)
    actor_id: Mapped[str | None] = mapped_column(ID, index=True)
    actor: Mapped[str] = mapped_column(sa.String(254))
    target: Mapped[str | None] = mapped_column(sa.String(254))
    address: Mapped[str | None] = mapped_column(sa.String(45))
    request_id: Mapped[str | None] = mapped_column(sa.String(128))
    details: Mapped[dict[str, Any]]
