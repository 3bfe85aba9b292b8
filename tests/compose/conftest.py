"""The house in containers, started once for all tests of this folder. A test restores what it changes."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

import pytest

from tests.compose.house import House, house_of_its_own
from tests.compose.people import People

LONGEST_S = 420  # a test that waits for containers; the first one starts the house


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/compose" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the house has logged meanwhile."""
    report = yield
    house = getattr(item, "funcargs", {}).get("house")
    if report.failed and isinstance(house, House):
        report.sections.append(("what the house complained of", house.troubles(call.start)))
    return report


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    with house_of_its_own() as started:
        try:
            started.run(["deploy/make-secrets"])
            started.up()
            started.first = started.states()
        except BaseException:
            sys.stderr.write(f"--- the house's log\n{started.logs()[-8000:]}\n")
            raise
        yield started


@pytest.fixture(scope="session")
def people(house: House) -> People:
    """Who uses the house."""
    return People(house)
