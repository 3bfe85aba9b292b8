"""Tables of the sessions service: projects with what is stored of them, running sessions with their clients, the lists of sessions.

Whoever changes a session locks its row first (`sessions/store`): so its versions have the order of the commits.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.database import Conventions, SQLAlchemy


class Base(Conventions, DeclarativeBase):
    """What all tables of the service share."""


db = SQLAlchemy(model_class=Base)

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite's integers have 64 bits all the same


class Project(Base):
    """One project. owner_id: of the user at auth; owner: the name that the user logs in with.

    owner_id is empty while an owner who was given by name only has that name. owner_permission, domain_permission, support_permission:
    `WRITE`, `READ` or `NONE`, of the owner, of the others in its domain and of super users. languages: `NL`, `EN`, the default one first.
    lat, lon: degrees of the middle of its map; None: it has no place on Earth. map_size_m: of a side of the square map. active_version: of
    its `Version`s; 0: a new project's content. archived_at: since when no session of it may start. trashed_at: when it was thrown away; it
    is removed three days later. Names are unique, those of trashed projects included.
    """

    __tablename__ = "projects"
    __table_args__ = (
        sa.Index("ix_projects_domain_name", "domain", "name"),
        sa.CheckConstraint("owner_permission IN ('WRITE', 'READ', 'NONE')", name="owner_permission"),
        sa.CheckConstraint("domain_permission IN ('WRITE', 'READ', 'NONE')", name="domain_permission"),
        sa.CheckConstraint("support_permission IN ('WRITE', 'READ', 'NONE')", name="support_permission"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), unique=True)
    domain: Mapped[str] = mapped_column(sa.String(100))
    sub_domain: Mapped[str] = mapped_column(sa.String(100))
    owner_id: Mapped[str] = mapped_column(sa.String(64))
    owner: Mapped[str] = mapped_column(sa.String(254))
    languages: Mapped[list[Any]]
    detailed: Mapped[bool]
    owner_permission: Mapped[str] = mapped_column(sa.String(5))
    domain_permission: Mapped[str] = mapped_column(sa.String(5))
    support_permission: Mapped[str] = mapped_column(sa.String(5))
    template: Mapped[bool]
    archived_at: Mapped[dt.datetime | None]
    trashed_at: Mapped[dt.datetime | None]
    map_size_m: Mapped[int]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    active_version: Mapped[int]
    created_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]

    @property
    def language(self) -> str:
        """Return the language of sessions that are started without one."""
        return str(self.languages[0])


class Version(Base):
    """What was stored of a project. content: items by the name of their list; new sessions begin with it."""

    __tablename__ = "versions"

    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]


class Save(Base):
    """A session that was saved, to be loaded later. name: the client chose it. started_as: of the session. content: as of a `Version`."""

    __tablename__ = "saves"

    project_id: Mapped[int] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    session_name: Mapped[str] = mapped_column(sa.String(64))
    started_as: Mapped[str] = mapped_column(sa.String(13))
    language: Mapped[str] = mapped_column(sa.String(2))
    content: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]


class Numbering(Base):
    """One row: whoever starts a session locks it, so that starts are one after the other. next_id: that no session has had yet."""

    __tablename__ = "numbering"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_id: Mapped[int]


class Session(Base):
    """One session of a project, running until `ended_at`. Ids are small and never used again.

    project_name, domain, map_size_m, lat, lon: the project's at the start. started_as: the name of its type that the starter used. key:
    what the session token is derived from, with the master key. version: of the newest change of its lists; each change counts it up by
    one under the lock of this row. keep_alive: `NEVER`, `SHORT` or `LONG`. active_at: when a known client last sent a POST.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        sa.Index("ix_sessions_project_id_ended_at", "project_id", "ended_at"),
        sa.Index("ix_sessions_domain_ended_at", "domain", "ended_at"),
        sa.Index("ix_sessions_ended_at", "ended_at"),
        sa.CheckConstraint("type IN ('SINGLE', 'MULTI', 'EDITOR')", name="type"),
        sa.CheckConstraint("started_as IN (type, type || '_PLAYER')", name="started_as"),
        sa.CheckConstraint("keep_alive IN ('NEVER', 'SHORT', 'LONG')", name="keep_alive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int | None] = mapped_column(sa.ForeignKey("projects.id", ondelete="SET NULL"))
    project_name: Mapped[str] = mapped_column(sa.String(20))
    domain: Mapped[str] = mapped_column(sa.String(100))
    name: Mapped[str] = mapped_column(sa.String(64))
    type: Mapped[str] = mapped_column(sa.String(6))
    started_as: Mapped[str] = mapped_column(sa.String(13))
    language: Mapped[str] = mapped_column(sa.String(2))
    group_token: Mapped[str | None] = mapped_column(sa.String(64))
    key: Mapped[str] = mapped_column(sa.String(32))
    keep_alive: Mapped[str] = mapped_column(sa.String(5))
    detailed: Mapped[bool]
    map_size_m: Mapped[int]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    version: Mapped[int] = mapped_column(_BIG)
    started_by: Mapped[str] = mapped_column(sa.String(64))
    started_at: Mapped[dt.datetime]
    active_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]


class Client(Base):
    """One joined client. token_digest: SHA-256 of its client token; None when another client took the token over after the release.

    user_id, user_name, full_name, level: of the user, when it joined. polled: whether it has asked for updates, so that silence means that
    it is lost. released_at: since when it is no client any more.
    """

    __tablename__ = "clients"
    __table_args__ = (
        sa.Index("ix_clients_session_id_released_at", "session_id", "released_at"),
        sa.Index("ix_clients_released_at_last_seen", "released_at", "last_seen"),
    )

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    session_id: Mapped[int] = mapped_column(sa.ForeignKey("sessions.id", ondelete="CASCADE"))
    token_digest: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    user_name: Mapped[str] = mapped_column(sa.String(254))
    full_name: Mapped[str] = mapped_column(sa.String(200))
    level: Mapped[str] = mapped_column(sa.String(12))
    computer_name: Mapped[str] = mapped_column(sa.String(100))
    address: Mapped[str] = mapped_column(sa.String(64))
    app_type: Mapped[str] = mapped_column(sa.String(12))
    joined_at: Mapped[dt.datetime]
    last_seen: Mapped[dt.datetime]
    polled: Mapped[bool]
    released_at: Mapped[dt.datetime | None]


class ItemList(Base):
    """One list of a session. version: of its newest change, deletes included. next_id: of the next item; numbers are never used again.

    horizon: deletes up to this version are forgotten, so whoever knows only an older version needs the whole list.
    """

    __tablename__ = "lists"

    session_id: Mapped[int] = mapped_column(sa.ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    version: Mapped[int] = mapped_column(_BIG)
    next_id: Mapped[int]
    horizon: Mapped[int] = mapped_column(_BIG)


class Item(Base):
    """One item of a list. version: of its newest change. content: all else that clients see. holder: id of the client that has it (of
    stakeholders). west, south, east, north: bounds of its geometry, metres (of buildings); None: it has none.
    points: of its geometry.
    """

    __tablename__ = "items"
    __table_args__ = (
        sa.ForeignKeyConstraint(["session_id", "list"], ["lists.session_id", "lists.name"], ondelete="CASCADE"),
        sa.Index("ix_items_session_id_list_version", "session_id", "list", "version"),
    )

    session_id: Mapped[int] = mapped_column(primary_key=True)
    list: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(_BIG)
    holder: Mapped[int | None] = mapped_column(_BIG, sa.ForeignKey("clients.id"))
    west: Mapped[float | None]
    south: Mapped[float | None]
    east: Mapped[float | None]
    north: Mapped[float | None]
    points: Mapped[int]
    content: Mapped[dict[str, Any]]


class Deletion(Base):
    """An item that is gone, for clients that still have it."""

    __tablename__ = "deletions"
    __table_args__ = (
        sa.ForeignKeyConstraint(["session_id", "list"], ["lists.session_id", "lists.name"], ondelete="CASCADE"),
        sa.Index("ix_deletions_session_id_list_version", "session_id", "list", "version"),
    )

    session_id: Mapped[int] = mapped_column(primary_key=True)
    list: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(_BIG)
