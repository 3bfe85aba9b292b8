"""What HMAC signatures are made with leaves the sessions of keys: it stands beside each secret that opens the key, and is sealed there.

The gateway seals it when it starts, not this migration: it may run where the master key is not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.common.core_database import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEYS = sa.table("keys", sa.column("id", sa.String), sa.column("session", sa.JSON))
SECRETS = sa.table(
    "key_secrets",
    sa.column("hash", sa.String),
    sa.column("key_id", sa.String),
    sa.column("ends_at", UTCDateTime),
    sa.column("hmac_secret", sa.Text),
    sa.column("hmac_sealed", sa.Text),
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what is overwritten must not stay in free pages
    for name in ("hmac_secret", "hmac_sealed"):
        op.add_column("key_secrets", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    has_one = KEYS.c.session["hmac_string"].as_string() != ""
    for row in connection.execute(sa.select(KEYS.c.id, KEYS.c.session).where(has_one)).all():
        session = dict(row.session)
        secret = session.pop("hmac_string")
        connection.execute(sa.update(KEYS).where(KEYS.c.id == row.id).values(session=session))
        connection.execute(sa.update(SECRETS).where(SECRETS.c.key_id == row.id).values(hmac_secret=str(secret)))


def downgrade() -> None:
    """Opens the secrets: needs the settings of the gateway in the environment. Raises SettingsError, NotOpened."""
    connection = op.get_bind()
    asked = sa.and_(sa.or_(SECRETS.c.hmac_sealed != "", SECRETS.c.hmac_secret != ""), SECRETS.c.ends_at.is_(None))
    rows = connection.execute(sa.select(SECRETS).where(asked)).all()
    seal = None
    for row in rows:
        if row.hmac_sealed and seal is None:
            from services.common.sealing import Seal
            from services.gateway.settings import load, master_key

            seal = Seal("gatehouse webhook secrets", master_key(load(), make=False) or "")
        secret = seal.open(row.hmac_sealed, row.hash).decode() if seal is not None and row.hmac_sealed else row.hmac_secret
        [session] = connection.scalars(sa.select(KEYS.c.session).where(KEYS.c.id == row.key_id))
        connection.execute(sa.update(KEYS).where(KEYS.c.id == row.key_id).values(session={**session, "hmac_string": secret}))
    with op.batch_alter_table("key_secrets") as table:
        table.drop_column("hmac_sealed")
        table.drop_column("hmac_secret")
