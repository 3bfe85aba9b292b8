"""The tables of OAuth2: clients, codes, refresh tokens, access tokens, and notifications of new tokens."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.common.core_database import UTCDateTime
from services.gateway.stores.base import metadata

# secret_hash: SHA-256 of the secret.
CLIENTS: Final = sa.Table(
    "oauth_clients",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("api_id", sa.String(128), nullable=False, index=True),
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("redirect_uris", sa.JSON, nullable=False),
    sa.Column("policy_id", sa.String(128), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("meta_data", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
# family: what becomes of one log-in: all tokens that come of one code. redirect_uri: as it was asked with, "" = it was not named.
CODES: Final = sa.Table(
    "oauth_codes",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("client_id", sa.ForeignKey("oauth_clients.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("family", sa.String(32), nullable=False),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    sa.Column("challenge", sa.String(128), nullable=False),
    sa.Column("challenge_method", sa.String(8), nullable=False),
    sa.Column("session", sa.JSON, nullable=False),
    sa.Column("expires_at", UTCDateTime, nullable=False, index=True),
    sa.Column("used_at", UTCDateTime),
)
# A used one stays until it would have ended, so that a second use is noticed.
REFRESH_TOKENS: Final = sa.Table(
    "oauth_refresh_tokens",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("client_id", sa.ForeignKey("oauth_clients.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("family", sa.String(32), nullable=False, index=True),
    sa.Column("session", sa.JSON, nullable=False),
    sa.Column("expires_at", UTCDateTime, nullable=False, index=True),
    sa.Column("used_at", UTCDateTime),
)
# Which keys are access tokens, and whose. family: also what their limits are counted by.
TOKENS: Final = sa.Table(
    "oauth_tokens",
    metadata,
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("client_id", sa.ForeignKey("oauth_clients.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("api_id", sa.String(128), nullable=False),
    sa.Column("family", sa.String(32), nullable=False, index=True),
    sa.Column("expires_at", UTCDateTime, nullable=False, index=True),
    sa.Column("created_at", UTCDateTime, nullable=False),
)
# The bodies of calls in the outbox that tell of new tokens. sealed: bound to the id.
NOTIFICATIONS: Final = sa.Table(
    "oauth_notifications",
    metadata,
    sa.Column("delivery_id", sa.String(40), primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False, index=True),
)
