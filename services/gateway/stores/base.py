"""The declarative base of the gateway's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.common.database import new_base

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase): ...

else:
    Base = new_base()
