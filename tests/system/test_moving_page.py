"""The commands of docs/moving-from-tyk.md, in the order of the page, on a folder as a Tyk's operator has it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tests.support.commands import run
from tests.support.gateway import OPERATOR_KEY, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import KEPT, ROOT

PAGE = ROOT / "docs" / "moving-from-tyk.md"
_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECRET = "acme0123456789abcdef"


def test_its_commands_do_what_it_says(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """The first block only says where things are."""
    first, *blocks = _BLOCKS.findall(PAGE.read_text())
    assert first.startswith("export TYK=")
    tyk = tmp_path / "tyk"
    for folder in ("apps", "keys"):
        (tyk / folder).mkdir(parents=True)
    (tyk / "apps" / "orders.json").write_text(json.dumps(definition("orders", odd_upstream.url, org_id="acme", use_keyless=False)))
    (tyk / "policies.json").write_text(json.dumps({"gold": {"org_id": "acme", "access_rights": {"orders": {"versions": ["Default"]}}}}))
    line = {"key": f"apikey-{SECRET}", "value": json.dumps({"org_id": "acme", "apply_policies": ["gold"]})}
    (tyk / "keys" / "dump.jsonl").write_text(json.dumps(line))
    with gateway(tmp_path, [], {}) as running:
        env = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "TYK": str(tyk),
            "GATEWAY": running.url,
            "CLIENT_KEY": SECRET,
            "GATEHOUSE_KEY": OPERATOR_KEY,
            "GATEHOUSE_URL": running.operator_url,
        }
        said = run(["bash", "-euo", "pipefail", "-c", "".join(blocks)], env=env, folder=ROOT, within=110)
    assert re.findall(r"^3 items: (.*)\.$", said, re.MULTILINE) == ["3 creates", "3 creates", "3 is the same"]
    assert re.findall(r"^\d{3}$", said, re.MULTILINE) == ["200"]
    assert SECRET not in said
    assert list(json.loads((tmp_path / "tyk.back" / "policies.json").read_text())) == ["gold"]
    assert "orders: undone to revision 1" in said


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
