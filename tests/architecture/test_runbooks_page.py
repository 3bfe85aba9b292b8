"""docs/runbooks.md and the tests that run it belong together: no block of commands that nothing runs, no link that leads nowhere."""

from __future__ import annotations

import re

from tests.support.processes import ROOT
from tests.support.runbooks import PAGE, blocks

ELSEWHERE = {"compose"}  # needs a Docker engine: tests/compose runs these
_RUN = re.compile(r'run\(\s*"(?P<heading>[^"]+)",\s*"(?P<kind>\w+)"(?:,\s*(?P<number>\d+))?')


def test_each_block_is_run_by_a_test() -> None:
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "tests" / "system").glob("test_runbooks_*.py")))
    run = {(match["heading"], match["kind"], int(match["number"] or 1)) for match in _RUN.finditer(sources)}
    written = {one[:3] for one in blocks() if one.kind not in ELSEWHERE}
    assert run == written


def test_blocks_that_set_something_up_are_the_only_ones_without_a_kind() -> None:
    assert PAGE.read_text().count("```sh\n") == 1


def test_its_links_lead_somewhere() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    files = {link.partition("#")[0] for link in links if not link.startswith("#")}
    missing = {file for file in files if not (PAGE.parent / file).exists()}
    assert missing <= {"systemd.md", "kubernetes.md", "containers.md"}
