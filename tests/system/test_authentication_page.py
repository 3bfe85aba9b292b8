"""The commands of docs/authentication.md, in the order of the page: each status is the one that the page promises."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tests.support.commands import run
from tests.support.gateway import OPERATOR_KEY, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import KEPT, ROOT

PAGE = ROOT / "docs" / "authentication.md"
_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMISES = re.compile(r"#((?: \d{3})+)$", re.MULTILINE)
_EXAMPLES = ("key", "key-anywhere", "keyless", "basic", "hmac", "oauth", "several")


def test_its_commands_do_what_it_says(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """The examples are those that `./dev up` starts with; the first block only says where things are."""
    first, *blocks = _BLOCKS.findall(PAGE.read_text())
    places, helpers = first.split("\n", 1)
    assert places.startswith("export KEY=")
    script = helpers + "".join(blocks)
    definitions = [json.loads((ROOT / f"deploy/apis/example-{name}.json").read_text()) for name in _EXAMPLES]
    with gateway(tmp_path, definitions, {"UPSTREAM_TOKENS": odd_upstream.url}) as running:
        env = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "KEY": OPERATOR_KEY,
            "OPERATOR": running.operator_url,
            "GATEWAY": running.url,
            "GATEHOUSE_KEY": OPERATOR_KEY,
            "GATEHOUSE_URL": running.operator_url,
        }
        said = run(["bash", "-euo", "pipefail", "-c", script], env=env, folder=ROOT, within=300)
    promised = [status for line in _PROMISES.findall(script) for status in line.split()]
    assert re.findall(r"^\d{3}$", said, re.MULTILINE) == promised
    assert len(promised) > 20


def test_its_links_lead_somewhere() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    assert [link for link in links if not (link.startswith("#") or (PAGE.parent / link.partition("#")[0]).exists())] == []
