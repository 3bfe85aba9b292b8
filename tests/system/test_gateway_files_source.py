"""Definitions from files alone: a file that became wrong changes nothing of what is served, and whoever reloads learns why."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.gateway import definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient


def test_a_reload_with_a_wrong_file(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    target = f"{odd_upstream.url}/"
    definitions = [definition("broad", target, proxy={"listen_path": "/"}), definition("odd", target), definition("other", target)]
    with gateway(tmp_path, definitions, {"GATEWAY_SOURCE": "files"}) as running:
        apis = running.folder / "apis"

        def upstream_sees() -> str:
            with RawClient(running.port) as client:
                assert client.get("/odd/seen").status == 200
            return odd_upstream.seen[-1].path

        def reload() -> tuple[int, dict[str, object]]:
            status, answer = running.operator("GET", "/tyk/reload/")
            return status, answer

        assert upstream_sees() == "/seen"
        right = (apis / "odd.json").read_text()
        moved = json.loads((apis / "other.json").read_text())
        moved["proxy"]["listen_path"] = "/moved/"
        (apis / "other.json").write_text(json.dumps(moved))
        for wrong in (right[: len(right) // 2], right.replace('"/odd/"', '"no-slash"')):
            (apis / "odd.json").write_text(wrong)
            status, answer = reload()
            assert (status, answer["code"]) == (400, "invalid-definition")
            assert "odd.json" in json.dumps(answer["errors"])
            assert upstream_sees() == "/seen", "its traffic falls to nobody else"
            with RawClient(running.port) as client:
                assert client.get("/moved/a").status == 200, "the others are live"
        assert "odd.json" in running.process.text()
        (apis / "odd.json").write_text(right)
        assert reload() == (200, {"status": "ok", "message": ""})
