"""What is written down: the migrations, the settings, the events, the addresses."""

from __future__ import annotations

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import openapi
from services.common.database import Database
from services.common.migrations import migrate
from services.common.settings import markdown
from services.sessions.app import describe
from services.sessions.documenting import documenting, tables
from services.sessions.events import sets
from services.sessions.events.events import EventSet
from services.sessions.models import db
from services.sessions.settings import Settings
from tests.support.stores import Prepare

# not of the API: what every service has, and the pages' own
_APART = re.compile(r"/(health|ready|metrics|openapi\.json|pages/.*|)")
_ALIASES = (
    (re.compile(r"^/api/slots/\{slot\}"), "/api/session"),
    (re.compile(r"^/api/session/lists/"), "/api/session/items/"),
    (re.compile(r"^/api/myuser/domain/"), "/api/services/mydomain/"),
    (re.compile(r"^/api/(?!session/|services/|slots/)(?=.)"), "/api/services/"),
)


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """The migrations themselves are looked at."""
    return None


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    migrate("sessions", database_url)
    migrate("sessions", database_url)  # a second time changes nothing
    database = Database(db, database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
    database.dispose()


def test_readme_lists_every_setting() -> None:
    assert markdown(Settings, "SESSIONS") in (openapi.snapshot("sessions").parent / "README.md").read_text()


def test_the_page_lists_every_event() -> None:
    assert tables.is_written(), tables.__doc__


def test_every_address_is_documented() -> None:
    """Under its primary name: what the application has besides are aliases."""
    app = describe()
    documented = openapi.document(app)["paths"]
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for pattern, primary in _ALIASES:
            path = pattern.sub(primary, path)
        for method in {"get", "post"} & {method.lower() for method in rule.methods or ()}:
            if not (_APART.fullmatch(path) or path.endswith("/event/{set_name}/{name}/")):
                found.add(f"{method} {path}")
    events = {documenting.event_path(one, event) for one in (*sets.ROOT, *sets.IN_SESSION) for event in one}
    assert events <= documented.keys()
    assert found == {f"{method} {path}" for path in documented.keys() - events for method in documented[path]}


def test_every_event_says_what_it_does() -> None:
    """On its page and in OpenAPI alike: a sentence for itself and for each of its values, and the form of its answer."""
    every: tuple[EventSet, ...] = (*sets.ROOT, *sets.IN_SESSION)
    lacking = [
        event.name
        for one in every
        for event in one
        if not (event.description and event.answer and all(value.help for value in event.parameters))
    ]
    assert lacking == []
