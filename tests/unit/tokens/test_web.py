"""What holds for every route: the shape of errors, CORS."""

from __future__ import annotations

from tests.unit.tokens.conftest import API, GEN


def test_errors_have_the_original_shape_everywhere(api: API) -> None:
    for answer, status in (
        (api.get("/nowhere"), 404), (api.client.post("/token"), 405), (api.client.put("/token", data=b"x" * 3_000_000, headers=GEN), 413),
    ):  # fmt: skip
        assert answer.status_code == status
        assert set(answer.json) == {"error"}
        assert answer.headers["X-Request-Id"]


def test_cors_is_open(api: API) -> None:
    assert api.get("/tokens", offset=0).headers["Access-Control-Allow-Origin"] == "*"
    assert api.get("/nowhere").headers["Access-Control-Allow-Origin"] == "*"
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = api.client.options("/request_interaction", headers=asked)
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
