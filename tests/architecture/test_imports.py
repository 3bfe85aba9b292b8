"""Each contract of .importlinter can fail; that they see the whole tree is in `test_services.py`."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / ".importlinter"


def _option(section: str, option: str) -> str:
    parser = configparser.ConfigParser()
    parser.read(CONFIGURATION)
    return parser[section][option]


# contract, file that breaks it, what is written there, what is said of it
VIOLATIONS = [
    ("services", "tokens/planted", "import services.gateway.refusals", "services.tokens.planted -> services.gateway.refusals"),
    (
        "services",
        "gateway/routing/planted",
        "import services.tokens.settings",
        "services.gateway.routing.planted -> services.tokens.settings",
    ),
    ("common", "common/planted", "import services.tokens.settings", "services.common.planted -> services.tokens.settings"),
    (
        "webhooks",
        "common/webhooks/courier",
        "import services.common.webhooks.store",
        "services.common.webhooks.courier -> services.common.webhooks.store",
    ),
    ("webhooks", "common/webhooks/planted", "WHAT = 1", "not listed as layers: - services.common.webhooks.planted"),
    ("gateway", "gateway/routing/planted", "import services.gateway.chain", "services.gateway.routing.planted -> services.gateway.chain"),
    ("gateway", "gateway/exchange", "import services.gateway.routing", "services.gateway.exchange -> services.gateway.routing"),
    (
        "gateway",
        "gateway/batch/planted",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import services.gateway.front_door",
        "services.gateway.batch.planted -> services.gateway.front_door",
    ),
    ("gateway", "gateway/wire/planted", "import services.gateway.refusals", "services.gateway.wire.planted -> services.gateway.refusals"),
    ("gateway", "gateway/unplanned", "WHAT = 1", "not listed as layers: - services.gateway.unplanned"),
    ("data-plane", "gateway/middleware/planted", "import flask", "services.gateway.middleware.planted -> flask"),
    ("data-plane", "gateway/routing/planted", "import werkzeug.datastructures", "services.gateway.routing.planted -> werkzeug"),
    ("data-plane", "gateway/wire/planted", "import redis", "services.gateway.wire.planted -> redis"),
    (
        "data-plane",
        "gateway/middleware/planted",
        "import services.common.database",  # SQLAlchemy, one step away
        "services.gateway.middleware.planted -> services.common.database",
    ),
    (
        "gateway-core",
        "gateway/stores/planted",
        "import services.common.database",
        "services.gateway.stores.planted -> services.common.database",
    ),
    (
        "gateway-core",
        "common/webhooks/store",
        "import services.common.database",
        "services.common.webhooks.store -> services.common.database",
    ),
    (
        "middleware",
        "gateway/middleware/planted",
        "import services.gateway.middleware.quota",
        "services.gateway.middleware.planted -> services.gateway.middleware.quota",
    ),
    (
        "operator-api",
        "gateway/operator_api/changes/planted",
        "import services.gateway.operator_api.answers",
        "services.gateway.operator_api.changes.planted -> services.gateway.operator_api.answers",
    ),
    (
        "operator-changes",
        "gateway/operator_api/changes/planted",
        "import werkzeug",
        "services.gateway.operator_api.changes.planted -> werkzeug",
    ),
    ("tokens", "tokens/web", "import services.tokens.pages.pages", "services.tokens.web -> services.tokens.pages.pages"),
    (
        "tokens",
        "tokens/archive/store",
        "import services.tokens.archive.service",
        "services.tokens.archive.store -> services.tokens.archive",
    ),
    ("tokens", "tokens/planted", "WHAT = 1", "not listed as layers: - services.tokens.planted"),
    ("tokens-nouns", "tokens/queue/planted", "WHAT = 1", "not listed as layers: - services.tokens.queue.planted"),
    ("tokens-use-cases", "tokens/queue/service", "import flask", "services.tokens.queue.service -> flask"),
    ("tokens-rules", "tokens/archive/rules/planted", "import sqlalchemy", "services.tokens.archive.rules.planted -> sqlalchemy"),
    ("devices", "devices/web", "import services.devices.registry.api.own", "services.devices.web -> services.devices.registry.api.own"),
    ("devices", "devices/planted", "WHAT = 1", "not listed as layers: - services.devices.planted"),
    ("devices-nouns", "devices/registry/planted", "WHAT = 1", "not listed as layers: - services.devices.registry.planted"),
    ("devices-use-cases", "devices/registry/service/planted", "import flask", "services.devices.registry.service.planted -> flask"),
    ("devices-rules", "devices/registry/rules/planted", "import sqlalchemy", "services.devices.registry.rules.planted -> sqlalchemy"),
    ("sessions", "sessions/web", "import services.sessions.items.api", "services.sessions.web -> services.sessions.items.api"),
    (
        "sessions",
        "sessions/events/events",
        "import services.sessions.events.kinds",
        "services.sessions.events.events -> services.sessions.events.kinds",
    ),
    ("sessions", "sessions/planted", "WHAT = 1", "not listed as layers: - services.sessions.planted"),
    ("sessions-folders", "sessions/pages/planted", "WHAT = 1", "not listed as layers: - services.sessions.pages.planted"),
    ("sessions-nouns", "sessions/projects/planted", "WHAT = 1", "not listed as layers: - services.sessions.projects.planted"),
    ("sessions-use-cases", "sessions/directory", "import flask", "services.sessions.directory -> flask"),
    ("sessions-rules", "sessions/items/rules/planted", "import sqlalchemy", "services.sessions.items.rules.planted -> sqlalchemy"),
    ("mobility", "mobility/web", "import services.mobility.nodes.api", "services.mobility.web -> services.mobility.nodes.api"),
    ("mobility", "mobility/planted", "WHAT = 1", "not listed as layers: - services.mobility.planted"),
    ("mobility-nouns", "mobility/layers/planted", "WHAT = 1", "not listed as layers: - services.mobility.layers.planted"),
    ("mobility-use-cases", "mobility/layers/writing", "import flask", "services.mobility.layers.writing -> flask"),
    ("mobility-rules", "mobility/nodes/rules/planted", "import sqlalchemy", "services.mobility.nodes.rules.planted -> sqlalchemy"),
    ("mobility-importing", "mobility/importing/planted", "import sqlalchemy", "services.mobility.importing.planted -> sqlalchemy"),
    ("auth", "auth/web", "import services.auth.pages.pages", "services.auth.web -> services.auth.pages.pages"),
    ("auth", "auth/people/store", "import services.auth.access", "services.auth.people.store -> services.auth.access"),
    ("auth", "auth/planted", "WHAT = 1", "not listed as layers: - services.auth.planted"),
    (
        "auth-order",
        "auth/credentials/service/planted",
        "import services.auth.people.store",
        "services.auth.credentials.service.planted -> services.auth.people.store",
    ),
    ("auth-nouns", "auth/signing/planted", "WHAT = 1", "not listed as layers: - services.auth.signing.planted"),
    ("auth-routes", "auth/pages/visit", "import sqlalchemy", "services.auth.pages.visit -> sqlalchemy"),
    ("auth-use-cases", "auth/audit/service", "import marshmallow", "services.auth.audit.service -> marshmallow"),
    ("auth-rules", "auth/credentials/rules/planted", "import sqlalchemy", "services.auth.credentials.rules.planted -> sqlalchemy"),
]


def test_each_contract_has_a_violation() -> None:
    parser = configparser.ConfigParser()
    parser.read(CONFIGURATION)
    contracts = {section.rpartition(":")[2] for section in parser.sections() if ":" in section}
    assert {contract for contract, *_ in VIOLATIONS} == contracts


def test_a_violation_breaks_its_contract(tmp_path: Path) -> None:
    """All of them at once: one look at the tree takes as long as each of the others would."""
    shutil.copytree(ROOT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CONFIGURATION, tmp_path)
    for _, module, text, _ in VIOLATIONS:
        with (tmp_path / "services" / module).with_suffix(".py").open("a") as target:
            target.write(f"\n{text}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.partition("Broken contracts")[2].split())
    titles = {contract: _option(f"importlinter:contract:{contract}", "name") for contract, *_ in VIOLATIONS}
    parts = re.split("(" + "|".join(map(re.escape, titles.values())) + ") -+", said)
    of = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert [(contract, saying) for contract, _, _, saying in VIOLATIONS if saying not in of[titles[contract]]] == []
