"""A place for the sealed secrets of webhooks, and for which master key sealed them.

The secrets are sealed by the gateway when it starts, not here: a migration may run where the master key is not, and what it sealed with a
key that it made itself would be lost.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HOOKS = sa.table("hooks", sa.column("id", sa.String), sa.column("secret", sa.Text), sa.column("sealed", sa.Text))


def upgrade() -> None:
    op.add_column("hooks", sa.Column("sealed", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("hooks") as table:
        table.alter_column("sealed", server_default=None, existing_type=sa.Text(), existing_nullable=False)
    op.create_table(
        "sealing",
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("wiped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_sealing"),
    )


def downgrade() -> None:
    """Opens the secrets: needs the settings of the gateway in the environment. Raises SettingsError, NotOpened."""
    connection = op.get_bind()
    rows = connection.execute(sa.select(HOOKS.c.id, HOOKS.c.sealed).where(HOOKS.c.sealed != "")).all()
    if rows:
        from services.common.sealing import Seal
        from services.gateway.settings import load, master_key

        seal = Seal("gatehouse webhook secrets", master_key(load(), make=False) or "")
        for row in rows:
            secret = seal.open(row.sealed, row.id).decode()
            connection.execute(sa.update(HOOKS).where(HOOKS.c.id == row.id).values(secret=secret))
    with op.batch_alter_table("hooks") as table:
        table.drop_column("sealed")
    op.drop_table("sealing")
