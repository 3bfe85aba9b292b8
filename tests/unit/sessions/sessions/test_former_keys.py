"""The master key is rotated: what was given out before is good until the former key is gone."""

from __future__ import annotations

from tests.unit.sessions.conftest import MakeAPI, refused, value

NEW, OLD = "n" * 32, "o" * 32


def test_session_tokens(make_api: MakeAPI) -> None:
    before = make_api(master_key=OLD)
    joined = before.join(before.running())
    both = make_api(master_key=f"{NEW}\n{OLD}")
    assert value(both.get("/api/session/", token=joined.token))
    fresh = both.join(joined.id)
    assert fresh.token != joined.token
    after = make_api(master_key=NEW)
    assert value(after.get("/api/session/", token=fresh.token))
    refused(after.get("/api/session/", token=joined.token), 400, "")
    first = make_api(master_key=f"{OLD}\n{NEW}")  # so begins a rotation where several processes share the database
    for token in (joined.token, fresh.token):
        assert value(first.get("/api/session/", token=token))
