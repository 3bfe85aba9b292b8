"""Projects, sessions with their clients, and the lists of sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "numbering",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("next_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_numbering"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("domain", sa.String(100), nullable=False),
        sa.Column("sub_domain", sa.String(100), nullable=False),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(254), nullable=False),
        sa.Column("languages", sa.JSON(), nullable=False),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("owner_permission", sa.String(5), nullable=False),
        sa.Column("domain_permission", sa.String(5), nullable=False),
        sa.Column("support_permission", sa.String(5), nullable=False),
        sa.Column("template", sa.Boolean(), nullable=False),
        sa.Column("archived_at", UTCDateTime(), nullable=True),
        sa.Column("trashed_at", UTCDateTime(), nullable=True),
        sa.Column("map_size_m", sa.Integer(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("active_version", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.CheckConstraint("owner_permission IN ('WRITE', 'READ', 'NONE')", name="owner_permission"),
        sa.CheckConstraint("domain_permission IN ('WRITE', 'READ', 'NONE')", name="domain_permission"),
        sa.CheckConstraint("support_permission IN ('WRITE', 'READ', 'NONE')", name="support_permission"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.create_index("ix_projects_domain_name", "projects", ["domain", "name"])
    op.create_table(
        "saves",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("session_name", sa.String(64), nullable=False),
        sa.Column("started_as", sa.String(13), nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_saves"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_saves_project_id_projects", ondelete="CASCADE"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("project_name", sa.String(20), nullable=False),
        sa.Column("domain", sa.String(100), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("type", sa.String(6), nullable=False),
        sa.Column("started_as", sa.String(13), nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("group_token", sa.String(64), nullable=True),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("keep_alive", sa.String(5), nullable=False),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("map_size_m", sa.Integer(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("started_by", sa.String(64), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("active_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.CheckConstraint("keep_alive IN ('NEVER', 'SHORT', 'LONG')", name="keep_alive"),
        sa.CheckConstraint("started_as IN (type, type || '_PLAYER')", name="started_as"),
        sa.CheckConstraint("type IN ('SINGLE', 'MULTI', 'EDITOR')", name="type"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_sessions_project_id_projects", ondelete="SET NULL"),
    )
    op.create_index("ix_sessions_domain_ended_at", "sessions", ["domain", "ended_at"])
    op.create_index("ix_sessions_ended_at", "sessions", ["ended_at"])
    op.create_index("ix_sessions_project_id_ended_at", "sessions", ["project_id", "ended_at"])
    op.create_table(
        "versions",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "version", name="pk_versions"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_versions_project_id_projects", ondelete="CASCADE"),
    )
    op.create_table(
        "clients",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("user_name", sa.String(254), nullable=False),
        sa.Column("full_name", sa.String(200), nullable=False),
        sa.Column("level", sa.String(12), nullable=False),
        sa.Column("computer_name", sa.String(100), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("app_type", sa.String(12), nullable=False),
        sa.Column("joined_at", UTCDateTime(), nullable=False),
        sa.Column("last_seen", UTCDateTime(), nullable=False),
        sa.Column("polled", sa.Boolean(), nullable=False),
        sa.Column("released_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_clients_session_id_sessions", ondelete="CASCADE"),
        sa.UniqueConstraint("token_digest", name="uq_clients_token_digest"),
    )
    op.create_index("ix_clients_released_at_last_seen", "clients", ["released_at", "last_seen"])
    op.create_index("ix_clients_session_id_released_at", "clients", ["session_id", "released_at"])
    op.create_table(
        "lists",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("next_id", sa.Integer(), nullable=False),
        sa.Column("horizon", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "name", name="pk_lists"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_lists_session_id_sessions", ondelete="CASCADE"),
    )
    op.create_table(
        "deletions",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("list", sa.String(16), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "list", "id", name="pk_deletions"),
        sa.ForeignKeyConstraint(
            ["session_id", "list"], ["lists.session_id", "lists.name"], name="fk_deletions_session_id_lists", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_deletions_session_id_list_version", "deletions", ["session_id", "list", "version"])
    op.create_table(
        "items",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("list", sa.String(16), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("holder", _BIG, nullable=True),
        sa.Column("west", sa.Double(), nullable=True),
        sa.Column("south", sa.Double(), nullable=True),
        sa.Column("east", sa.Double(), nullable=True),
        sa.Column("north", sa.Double(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "list", "id", name="pk_items"),
        sa.ForeignKeyConstraint(["holder"], ["clients.id"], name="fk_items_holder_clients"),
        sa.ForeignKeyConstraint(
            ["session_id", "list"], ["lists.session_id", "lists.name"], name="fk_items_session_id_lists", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_items_session_id_list_version", "items", ["session_id", "list", "version"])
    op.execute("INSERT INTO numbering (id, next_id) VALUES (1, 1)")
