"""Removing one token or all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from services.common.database import Database
from services.tokens.models import Token
from tests.unit.tokens.archive.conftest import ten
from tests.unit.tokens.conftest import ADM, API, EX, GEN


def test_delete(api: API) -> None:
    tokens = ten(api)
    assert api.client.delete("/token", query_string={"id": tokens[4]}, headers=GEN).status_code == 403
    answer = api.client.delete("/token", query_string={"id": tokens[4]}, headers=ADM)
    assert (answer.status_code, answer.json) == (200, {})
    assert api.client.delete("/token", query_string={"id": tokens[4]}, headers=ADM).status_code == 404
    assert api.client.delete("/token", headers=ADM).json == {"error": "id missing"}
    left = tokens[:4] + tokens[5:]
    page = api.get("/tokens", offset=3, count=3).json
    assert [row["id"] for row in page["rows"]] == left[3:6] and page["total_rows"] == 9
    assert (page["prev"], page["next"]) == (left[2], left[6])
    assert api.get("/tokens", start_id=tokens[4]).json["rows"][0]["id"] == tokens[5]
    assert api.get("/tokens", offset=0, count=250).json["rows"][-1]["id"] == tokens[9]


def test_delete_all_asks_twice(api: API) -> None:
    tokens = ten(api)
    assert api.client.delete("/tokens", headers=EX).status_code == 403
    assert api.client.delete("/tokens", headers=ADM).status_code == 400
    assert api.client.delete("/tokens?confirm=all", headers=ADM).status_code == 200
    assert api.get("/tokens", offset=0).json["total_rows"] == 0
    api.clock.move(-100)
    assert api.token() > tokens[0]  # an id is never given twice


def test_deleting_while_adding_keeps_positions_dense(api: API, database: Database) -> None:
    tokens = ten(api)
    barrier = threading.Barrier(2)

    def delete() -> None:
        barrier.wait()
        for token in tokens[::2]:
            assert api.client.delete("/token", query_string={"id": token}, headers=ADM).status_code == 200

    def add() -> None:
        barrier.wait()
        for _ in range(10):
            api.token()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(delete), pool.submit(add)]:
            done.result()
    with database.read() as session:
        positions = list(session.scalars(sa.select(Token.position).order_by(Token.id)))
    assert positions == list(range(1, 16))
