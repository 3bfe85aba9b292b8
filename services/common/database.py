"""A service's database with the ORM: Flask-SQLAlchemy's models and sessions, in the transactions of `core_database.py`.

A service's `models.py` says what Flask-SQLAlchemy's own guide says; its `wiring.py` makes the one `Database`:

    class Base(Conventions, DeclarativeBase): ...
    db = SQLAlchemy(model_class=Base)
    class Token(Base): ...                                  # models.py; `db.Model` is `Base`, a name that type checkers follow

    database = Database(db, settings.database_url)          # wiring.py
    database.run(lambda session: session.add(Token(...)))   # service.py

What is ours: every transaction is opened by `Database.run`, `read` or `transaction`, which pass the guard and hold a connection no longer
than their block. Therefore `db.session`, which would hold one until the request ends, refuses to be used.
"""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NoReturn

import flask_sqlalchemy
import flask_sqlalchemy.session
import sqlalchemy as sa
from sqlalchemy import orm

from services.common.core_database import NAMING, Transactions, UTCDateTime


class Conventions:
    """What the declarative bases of all services have in common: names of constraints, for migrations, and types of columns.

    For a class that is a `DeclarativeBase`, too; each gets tables (`metadata`) of its own.
    """

    metadata: ClassVar[sa.MetaData]
    type_annotation_map: ClassVar[dict[Any, Any]]

    def __init_subclass__(cls, **options: Any) -> None:
        if orm.DeclarativeBase in cls.__bases__:
            cls.metadata = sa.MetaData(naming_convention=NAMING)
            cls.type_annotation_map = {dt.datetime: UTCDateTime(), dict[str, Any]: sa.JSON(), list[Any]: sa.JSON()}
        super().__init_subclass__(**options)


class Session(flask_sqlalchemy.session.Session):
    """Flask-SQLAlchemy's, bound to its engine: it needs no application context, so threads and command lines use it as requests do."""

    def get_bind(
        self, mapper: Any | None = None, clause: Any | None = None, bind: sa.Engine | sa.Connection | None = None, **_: Any
    ) -> sa.Engine | sa.Connection:
        bound = self.bind if bind is None else bind
        assert bound is not None
        return bound


class SQLAlchemy(flask_sqlalchemy.SQLAlchemy):
    """Flask-SQLAlchemy's extension: the models of one service. Several applications may share it, each with a `Database` of its own."""

    def __init__(self, model_class: type[orm.DeclarativeBase]) -> None:
        super().__init__(model_class=model_class, session_options={"class_": Session})

    def _make_declarative_base(self, model_class: Any, disable_autonaming: bool = False) -> Any:
        """`Model` is the class that was given, not a copy: a copy has no name that a type checker follows."""
        self.metadatas[None] = model_class.metadata
        return model_class

    def _make_scoped_session(self, options: dict[str, Any]) -> Any:
        def refuse() -> NoReturn:
            raise RuntimeError("use Database.run, read or transaction: they end before the request does")

        return orm.scoped_session(refuse)  # type: ignore[arg-type]  # in the place of a factory

    def _apply_driver_defaults(self, options: dict[str, Any], app: Any) -> None:
        """Nothing: `create_engine` knows the drivers, and the paths of SQLite's files are relative to the working directory."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> sa.Engine:
        """The engine of the application's `Database`."""
        database: Database = app.extensions["database"]
        return database.engine


class Database(Transactions[orm.Session]):
    """Transactions are sessions. Works without an application; `init_app` gives it to one."""

    def __init__(
        self, db: SQLAlchemy, url: str, *, pool_size: int = 10, at_once: int | None = None, sqlite_synchronous: str = "FULL"
    ) -> None:
        """db: the service's models. The others as `Transactions`."""
        super().__init__(url, pool_size=pool_size, at_once=at_once, sqlite_synchronous=sqlite_synchronous)
        self._db = db
        self._sessions = orm.sessionmaker(self.engine, class_=Session, db=db, expire_on_commit=False)
        self._readers = orm.sessionmaker(self.reading, class_=Session, db=db, expire_on_commit=False)

    def init_app(self, app: Any) -> None:
        super().init_app(app)
        app.config["SQLALCHEMY_DATABASE_URI"] = self.engine.url
        self._db.init_app(app)

    def _read(self) -> AbstractContextManager[orm.Session]:
        return self._readers()

    def _transaction(self) -> AbstractContextManager[orm.Session]:
        return self._sessions.begin()
