"""docs/errors.md is the tables of refusals, written down."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from services.gateway.errors_document import document
from services.gateway.operator_api.refusals import APPLICATION, KINDS
from services.gateway.refusals import REGISTRY

ROOT = Path(__file__).parents[3]


def test_the_document_is_in_step() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "services.gateway.errors_document"], cwd=ROOT, capture_output=True, check=True, text=True, encoding="utf-8"
    )
    shown = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert shown == written.stdout, "python -m services.gateway.errors_document > docs/errors.md"
    assert written.stdout == document()


def test_the_document_lists_every_code_once() -> None:
    """Once for each port: some codes are on both."""
    public, _, operator = document().partition("## The operator's port")
    assert re.findall(r"^\| `([a-z-]+)` \|", public, re.M) == list(REGISTRY)
    assert re.findall(r"^\| `([a-z-]+)` \|", operator, re.M) == [*KINDS, *(kind.code for kind in APPLICATION)]
