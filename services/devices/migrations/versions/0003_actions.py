"""Actions, what devices did to them, and the outbox of their calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0003"
down_revision = "0002"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.JSON(), nullable=False),
        sa.Column("call", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
    )
    op.create_index("ix_actions_account", "actions", ["account"])
    op.create_table(
        "action_states",
        sa.Column("device_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action_id", sa.String(24), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("fired_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["device_no"], ["devices.no"], name="fk_action_states_device_no_devices", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name="fk_action_states_action_id_actions", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_no", "action_id", name="pk_action_states"),
    )
    op.create_index("ix_action_states_action_id_locked_fired_at", "action_states", ["action_id", "locked", "fired_at"])
    changes = op.create_table(
        "action_changes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_action_changes"),
    )
    op.bulk_insert(changes, [{"id": 1, "seq": 0}])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("hook_id", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("created_at", "give_up_at", "next_at", "leased_until")),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_hook_id", "deliveries", ["hook_id"])
    op.create_index("ix_deliveries_hook_id_state", "deliveries", ["hook_id", "state"])
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])
    op.create_table(
        "delivery_marks",
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_delivery_marks"),
    )
    op.create_index("ix_delivery_marks_until", "delivery_marks", ["until"])


def downgrade() -> None:
    for table in ("delivery_marks", "deliveries", "action_changes", "action_states", "actions"):
        op.drop_table(table)
