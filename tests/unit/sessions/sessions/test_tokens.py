"""Session tokens that no session has."""

from __future__ import annotations

from tests.unit.sessions.conftest import API, refused


def test_a_token_of_a_number_that_no_session_can_have_is_only_wrong(api: API) -> None:
    for number in ("ffffffff", "80000000", "7fffffff"):
        refused(api.get("/api/session/", token=number + "a" * 24), 400, "INVALID_TOKEN")
