"""How Valkey is started in containers and in the cluster: with its password, and as the process that is told to stop."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def _of_compose() -> list[str]:
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["valkey"]["command"]
    return [part.replace("$$", "$") for part in command]


def _of_the_cluster() -> list[str]:
    first = next(yaml.safe_load_all((ROOT / "deploy/k8s/stores/valkey.yaml").read_text()))
    command: list[str] = first["spec"]["template"]["spec"]["containers"][0]["command"]
    return command


@pytest.mark.parametrize("command", [_of_compose(), _of_the_cluster()], ids=["compose", "cluster"])
def test_the_server_is_the_first_process_and_has_its_password(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "valkey_password").write_text("s3cret$HOME`id`\n")
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\necho $$ $1\ncat\n")
    server.chmod(0o755)
    here = [part.replace("/run/secrets/", f"{tmp_path}/") for part in command]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(here, stdout=subprocess.PIPE, text=True, env=environment) as started:
        told, _ = started.communicate(timeout=30)
    assert told == f"{started.pid} -\nrequirepass s3cret$HOME`id`\n"
    assert "s3cret" not in " ".join(command)
