"""deploy/systemd: the units as they are installed, the files of settings, and the installer."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common import settings
from tools.dev import plan

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "deploy/systemd"
UNITS = "usr/local/lib/systemd/system"
SERVICES = [f"gatehouse@{name}.service" for name in plan.DOMAIN_SERVICES]
ALL = ["gatehouse-gateway.service", *SERVICES]
NAMES = ["gateway", *plan.DOMAIN_SERVICES]
MOST_EXPOSED = 12  # tenths, as systemd-analyze counts

pytestmark = pytest.mark.xdist_group("systemd")  # they share one installation
analyze = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(analyze is None, reason="systemd-analyze, which reads units, is not on this machine")


def _install(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-B", str(SYSTEMD / "install.py"), "--root", str(root), "--no-venv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder with an installation in it; the tests leave it as it is."""
    root = tmp_path_factory.mktemp("root")
    _install(root)
    return root


def _state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and link: its inode, mode and content. A file that is written again has another inode."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            state = path.lstat()
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(root))] = (state.st_ino, state.st_mode, content)
    return found


def _directives(root: Path, unit: str) -> Iterator[tuple[str, str]]:
    """Give what a unit says, with its drop-ins."""
    template = re.sub(r"@.+\.", "@.", unit)
    files = [root / UNITS / template, *(root / UNITS).glob(f"{template}.d/*.conf"), *(root / UNITS).glob(f"{unit}.d/*.conf")]
    for file in dict.fromkeys(files):
        for line in file.read_text().splitlines():
            if match := re.match(r"(\w+)=(.*)", line):
                yield match[1], match[2]


def _environment(root: Path, unit: str) -> dict[str, str]:
    pairs = [pair for name, value in _directives(root, unit) if name == "Environment" for pair in value.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def _known_settings(service: str) -> set[str]:
    kind = importlib.import_module(f"services.{service}.settings").Settings
    rows = re.findall(r"^\| `(\w+)` \|(.*)$", settings.markdown(kind, service.upper()), re.M)
    return {name for name, _ in rows} | {f"{name}_FILE" for name, meaning in rows if f"`{name}_FILE`" in meaning}


@needs_analyze
def test_systemd_accepts_every_unit(installed: Path, tmp_path: Path) -> None:
    """Beside what every system has: the targets that units are ordered after, and `kill`."""
    root = shutil.copytree(installed, tmp_path / "root", symlinks=True)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "network-online"):
        (root / UNITS / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (root / "bin").mkdir()
    (root / "bin/kill").symlink_to("../opt/gatehouse/current/deploy/systemd/serve")
    verify = [str(analyze), "verify", f"--root={root}", "--man=no"]
    done = subprocess.run([*verify, "gatehouse.target", *ALL], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


@needs_analyze
@pytest.mark.parametrize("unit", ALL)
def test_every_unit_is_in_the_sandbox(installed: Path, unit: str) -> None:
    """Counted by systemd itself: a service without any protection has 96."""
    command = [str(analyze), "security", "--offline=true", f"--root={installed}", f"--threshold={MOST_EXPOSED}", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", ALL)
def test_units_give_up_what_they_do_not_need(installed: Path, unit: str) -> None:
    said = Counter(_directives(installed, unit))
    for directive in (
        "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
        "PrivateUsers=yes", "ProtectProc=invisible", "ProcSubset=pid",
        "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes",
        "RestrictNamespaces=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service", "UMask=0077", "KillMode=mixed", "Restart=on-failure", "RestartPreventExitStatus=78 243",
        "Type=notify", "StateDirectoryMode=0700",
    ):  # fmt: skip
        name, _, value = directive.partition("=")
        assert said[name, value] == 1, directive


def test_stopping_takes_no_longer_than_gunicorn(installed: Path) -> None:
    """systemd waits longer than gunicorn gives its workers, or it would kill what is about to end."""
    graceful = int(re.findall(r"^graceful_timeout = (\d+)$", (ROOT / "deploy/gunicorn.service.py").read_text(), re.M)[0])
    assert int(dict(_directives(installed, SERVICES[0]))["TimeoutStopSec"].removesuffix("s")) > graceful
    gateway = importlib.import_module("services.gateway.settings").Settings.graceful_timeout
    assert int(dict(_directives(installed, "gatehouse-gateway.service"))["TimeoutStopSec"].removesuffix("s")) > gateway


@pytest.mark.parametrize("name", NAMES)
def test_units_say_only_what_services_know(installed: Path, name: str) -> None:
    unit = "gatehouse-gateway.service" if name == "gateway" else f"gatehouse@{name}.service"
    named = _environment(installed, unit)
    known = _known_settings(name) | {"SERVICE", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert {one for one in named if one not in known and not one.startswith("UPSTREAM_")} == set()


def test_addresses_are_those_of_dev_up(installed: Path) -> None:
    ports = plan.Ports.defaults()
    gateway = _environment(installed, "gatehouse-gateway.service")
    assert gateway["GATEWAY_OPERATOR_BIND"] == f"127.0.0.1:{ports.operator}"
    for name, port in ports.services.items():
        assert _environment(installed, f"gatehouse@{name}.service")[f"{name.upper()}_BIND"] == f"127.0.0.1:{port}"
        assert gateway[f"UPSTREAM_{name.upper()}"] == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("unit", ALL)
def test_secrets_come_as_credentials(installed: Path, unit: str) -> None:
    """What a unit loads is there, and what it names is loaded: systemd refuses to start a unit whose credential is missing."""
    loaded = dict(value.split(":", 1) for name, value in _directives(installed, unit) if name == "LoadCredential")
    assert {path for path in loaded.values() if not (installed / path.lstrip("/")).is_file()} == set()
    named = {value for name, value in _environment(installed, unit).items() if name.endswith("_FILE")}
    assert named == {f"%d/{one}" for one in loaded}
    assert loaded


def test_every_service_has_its_account_unit_and_settings(installed: Path) -> None:
    accounts = set(re.findall(r"^u gatehouse-(\w+)", (SYSTEMD / "sysusers.conf").read_text(), re.M))
    assert accounts == set(NAMES)
    wanted = {value for line in (SYSTEMD / "units/gatehouse.target").read_text().splitlines() if line.startswith("Also=")
              for value in line.removeprefix("Also=").split()}  # fmt: skip
    assert wanted == set(ALL)
    assert {path.stem for path in (installed / "etc/gatehouse").glob("*.env")} == {*NAMES, "gatehouse"}


@pytest.mark.parametrize("name", [*NAMES, "gatehouse"])
def test_files_of_settings_name_only_what_there_is(name: str) -> None:
    """An example that somebody uncomments must not keep the service from starting."""
    named = set(re.findall(r"^#?([A-Z_]+)=", (SYSTEMD / f"env/{name}.env").read_text(), re.M))
    known = set.union(*map(_known_settings, NAMES)) if name == "gatehouse" else _known_settings(name)
    assert named
    assert {one for one in named if one not in known and not one.startswith("UPSTREAM_")} == set()


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_settings_can_be_used(name: str) -> None:
    """With every example of one file and of the shared one, the service's settings load."""
    lines = [line for file in ("gatehouse", name) for line in (SYSTEMD / f"env/{file}.env").read_text().splitlines()]
    environ = dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z_]+=", line))
    kind = importlib.import_module(f"services.{name}.settings").Settings
    settings.load(kind, name.upper(), environ)


def test_secrets_and_settings_are_closed(installed: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in (installed / "etc/gatehouse").glob("*.env")} == {0o640}
    secrets = installed / "etc/gatehouse/secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}


def test_what_units_start_is_there(installed: Path) -> None:
    started = {value.split()[0] for unit in ALL for name, value in _directives(installed, unit) if name in ("ExecStart", "ExecStartPost")}
    assert started
    for path in started:
        assert os.access(installed / path.lstrip("/"), os.X_OK), path
    assert (installed / "opt/gatehouse/current/services/gateway/wsgi.py").is_file()
    assert os.readlink(installed / "opt/gatehouse/current/var") == "/var/lib/gatehouse"


def test_the_second_time_changes_nothing(installed: Path) -> None:
    before = _state(installed)
    assert "Nothing to do" in _install(installed)
    assert _state(installed) == before


def test_the_next_run_finishes_what_a_stopped_one_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped between a file and the program that reads it, or whose program failed."""
    monkeypatch.syspath_prepend(str(SYSTEMD))
    install, installer = importlib.import_module("install"), importlib.import_module("installer")
    steps = installer.Installer(tmp_path, dry=False)
    for _ in range(2):
        ran: list[tuple[str, bool]] = []
        monkeypatch.setattr(steps, "system", lambda what, *command, told=True, ran=ran: ran.append((command[0], told)))
        install.make_accounts(steps)
        install.write_units(steps)
    assert ran == [("systemd-sysusers", False), ("systemctl", False)]


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    told = _install(tmp_path, "--dry-run")
    assert "create /etc/gatehouse/auth.env" in told
    assert list(tmp_path.iterdir()) == []


def test_upgrading_keeps_what_people_changed(tmp_path: Path) -> None:
    """And replaces a unit, removes one that is no longer there, and remembers the release before."""
    _install(tmp_path)
    current = tmp_path / "opt/gatehouse/current"
    release = os.readlink(current)
    older = tmp_path / "opt/gatehouse/releases/0.0.9-older"
    (tmp_path / "opt/gatehouse" / release).rename(older)
    current.unlink()
    current.symlink_to("releases/0.0.9-older")
    settings_file, secret = tmp_path / "etc/gatehouse/auth.env", tmp_path / "etc/gatehouse/secrets/operator_key"
    settings_file.write_text("AUTH_WORKERS=2\n")
    key = secret.read_text()
    unit, gone = tmp_path / UNITS / "gatehouse@.service", tmp_path / UNITS / "gatehouse@.service.d/05-gone.conf"
    unit.write_text("[Service]\n")
    gone.write_text("[Service]\n")

    told = _install(tmp_path)
    assert "systemctl restart gatehouse.target" in told
    assert (settings_file.read_text(), secret.read_text()) == ("AUTH_WORKERS=2\n", key)
    assert "ExecStart=" in unit.read_text()
    assert not gone.exists()
    assert os.readlink(current) == release
    assert os.readlink(tmp_path / "opt/gatehouse/previous") == "releases/0.0.9-older"

    (older / "deploy/systemd/units/gatehouse@.service").write_text("[Service]\n# the older one\n")
    _install(tmp_path, "--back")
    assert os.readlink(current) == "releases/0.0.9-older"
    assert os.readlink(tmp_path / "opt/gatehouse/previous") == release
    assert unit.read_text() == "[Service]\n# the older one\n"


def test_what_still_runs_is_not_removed(tmp_path: Path) -> None:
    """Two upgrades without a restart: workers that are replaced import from the release that their master was started from."""
    running, ended = (tmp_path / "opt/gatehouse/releases" / name for name in ("0.0.8-running", "0.0.7-ended"))
    for release in (running, ended):
        release.mkdir(parents=True)
        (release / "venv").symlink_to("../../environments/python3.11-other")
    environment = tmp_path / "opt/gatehouse/environments/python3.11-other"
    environment.mkdir(parents=True)
    with subprocess.Popen(["cat"], cwd=running, stdin=subprocess.PIPE) as process:
        _install(tmp_path)
        assert (running.exists(), ended.exists(), environment.exists()) == (True, False, True)
        process.communicate()
    _install(tmp_path)
    assert (running.exists(), environment.exists()) == (False, False)


@pytest.mark.parametrize("folder", ["opt/gatehouse", "etc/gatehouse", "etc/gatehouse/secrets"])
def test_a_folder_that_others_can_change_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder).chmod(0o775)
    refused = subprocess.run([sys.executable, "-B", str(SYSTEMD / "install.py"), "--root", str(tmp_path), "--no-venv"],
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"chmod go-w {tmp_path / folder}" in refused.stderr
    assert list((tmp_path / folder).iterdir()) == []
    (tmp_path / folder).chmod(0o755)
    if os.geteuid() == 0:
        os.chown(tmp_path / folder, 10_001, 10_001)
        assert subprocess.run(refused.args, capture_output=True, check=False).returncode == 1
        assert list((tmp_path / folder).iterdir()) == []


def test_uninstalling_keeps_settings_and_data(tmp_path: Path) -> None:
    _install(tmp_path)
    data = tmp_path / "var/lib/gatehouse/auth/auth.db"
    data.parent.mkdir(parents=True)
    data.write_text("rows")
    kept = {path: state for path, state in _state(tmp_path).items() if path.startswith(("etc/gatehouse", "var/"))}
    _install(tmp_path, "--uninstall")
    left = {path for path in _state(tmp_path) if (tmp_path / path).is_file()}
    assert left == {path for path in kept if (tmp_path / path).is_file()}
    assert {path: _state(tmp_path)[path] for path in kept} == kept
