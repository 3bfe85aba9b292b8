"""deploy/Dockerfile: what the images say of themselves."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from services.common import health
from services.gateway.settings import Settings as Gateway
from tools.dev.images import SERVICES
from tools.dev.plan import DOMAIN_SERVICES

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_the_health_check_needs_no_setting(service: str) -> None:
    """A container that is given none is unhealthy only when its process is."""
    environment = dict(re.findall(r"\b(\w+_BIND)=(\S+)", DOCKERFILE))
    port = Gateway.operator_bind.port if service == "gateway" else 8101 + DOMAIN_SERVICES.index(service)
    assert health.address({**environment, "SERVICE": service}) == ("127.0.0.1", port)


def test_what_is_copied_is_in_the_build_context() -> None:
    """`.dockerignore` leaves out all that it does not name; a COPY of something else fails only where an image is built."""
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source.partition("$")[0].rstrip("/*")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
        for source in line.split()[:-1]
    ]
    assert "deploy/policies.json" in copied
    assert [one for one in copied if not any(fnmatch(one, name) or one.startswith(f"{name}/") for name in let_in)] == []


def test_no_variable_stands_in_the_default_of_another() -> None:
    """docker-compose 1.29 ends such a default at its first brace, and the second one becomes a part of the value."""
    assert re.findall(r"\$\{[^}]*\$.*", (ROOT / "docker-compose.yml").read_text()) == []
