"""Roll-ups of one question stand together: on PostgreSQL in a partition of their own, in every index in the order of time.

Among the rows of all questions, those that one question reads lay on a page each. The new table has its final name when it is whole. Until
then workers read the old one, and their batches wait; workers of the version before write to the new one as they did to the old one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_OLD_KEY = ("kind", "grain", "api_id", "start", "org_id", "version", "code", "item")
_KEY = ("kind", "grain", "start", "api_id", "item", "version", "code", "org_id")
_PARTITIONS = {"api": 1, "key": 2, "path": 3, "oauth": 4}
# A question reads the index alone where pages are known to be visible to all. By default they become so when a fifth of the table is new.
_VACUUM = "autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_vacuum_scale_factor = 0.05"


def upgrade() -> None:
    _copy(_KEY, partitioned=op.get_bind().dialect.name == "postgresql")
    of_items = sa.text("kind IN (2, 4)")
    op.create_index("ix_analytics_rollups_expires", "analytics_rollups", ["expires"])
    op.create_index(
        "ix_analytics_rollups_item",
        "analytics_rollups",
        ["item", "kind", "grain", "start"],
        postgresql_where=of_items,
        sqlite_where=of_items,
    )
    op.execute("ANALYZE analytics_rollups")


def downgrade() -> None:
    _copy(_OLD_KEY, partitioned=False)
    op.create_index("ix_analytics_rollups_expires", "analytics_rollups", ["expires"])
    op.create_index("ix_analytics_rollups_time", "analytics_rollups", ["kind", "grain", "start"])
    op.create_index("ix_analytics_rollups_item", "analytics_rollups", ["item", "kind", "grain", "start"])


def _copy(key: tuple[str, ...], *, partitioned: bool) -> None:
    """Put another table, without further indexes, in the place of the one that is there."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute("LOCK TABLE analytics_rollups IN SHARE ROW EXCLUSIVE MODE")
    table = op.create_table(
        "analytics_rollups_new",
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("grain", sa.SmallInteger(), nullable=False),
        sa.Column("api_id", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("hits", "success", "error", "request_us", "last_hit", "expires")),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_analytics_rollups_new" if postgresql else "pk_analytics_rollups"),
        postgresql_partition_by="LIST (kind)" if partitioned else None,
    )
    if partitioned:
        for name, kind in _PARTITIONS.items():
            op.execute(f"CREATE TABLE analytics_rollups_{name} PARTITION OF analytics_rollups_new FOR VALUES IN ({kind}) WITH ({_VACUUM})")
    columns = [column.name for column in table.columns]
    old = sa.table("analytics_rollups", *map(sa.column, columns))
    rows = sa.select(*old.columns).order_by(*(old.c[name] for name in key))
    op.execute(sa.insert(table).from_select(columns, rows))
    op.drop_table("analytics_rollups")
    op.rename_table("analytics_rollups_new", "analytics_rollups")
    if postgresql:
        op.execute("ALTER TABLE analytics_rollups RENAME CONSTRAINT pk_analytics_rollups_new TO pk_analytics_rollups")
