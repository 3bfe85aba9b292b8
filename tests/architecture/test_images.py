"""deploy/Dockerfile: what the images say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.common import health
from services.gateway.settings import Settings as Gateway
from tools.dev.images import SERVICES
from tools.dev.plan import DOMAIN_SERVICES

DOCKERFILE = (Path(__file__).resolve().parents[2] / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_the_health_check_needs_no_setting(service: str) -> None:
    """A container that is given none is unhealthy only when its process is."""
    environment = dict(re.findall(r"\b(\w+_BIND)=(\S+)", DOCKERFILE))
    port = Gateway.operator_bind.port if service == "gateway" else 8101 + DOMAIN_SERVICES.index(service)
    assert health.address({**environment, "SERVICE": service}) == ("127.0.0.1", port)
