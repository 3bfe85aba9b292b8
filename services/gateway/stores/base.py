"""What the gateway's tables have in common.

They are described with SQLAlchemy's Core: the ORM would cost every worker 6 MB, and rows that are read once and turned into frozen values
gain nothing by it.
"""

from __future__ import annotations

import sqlalchemy as sa

from services.common.core_database import NAMING

metadata = sa.MetaData(naming_convention=NAMING)
