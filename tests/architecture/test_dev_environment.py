"""`.venv` as `./dev` makes it: two sets of packages, their stamps, what is interrupted, what is not touched."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_until
from tools.dev import environment
from tools.dev.environment import BUILD, DEVELOP, RUN, Packages

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Place:
    """A project of its own, where making and installing are simulated: `done` has what was asked for."""

    root: Path
    done: list[str] = field(default_factory=list)
    interrupted: Callable[[], None] = lambda: None

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def stamps(self) -> set[str]:
        return {entry.name for entry in self.venv.glob(".requirements*")}

    def make(self, lock: int) -> None:
        self.done.append("make")
        (self.venv / "bin").mkdir(parents=True, exist_ok=True)
        (self.venv / "pyvenv.cfg").touch()
        (self.venv / "bin" / "python").write_text("#!/bin/sh\n")
        (self.venv / "bin" / "python").chmod(0o755)
        self.package("pip-1")

    def install(self, packages: Packages, lock: int) -> None:
        self.done.append(packages.stamp)
        self.interrupted()

    def package(self, name: str, *, whole: bool = True) -> Path:
        entry = self.venv / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info"
        entry.mkdir(parents=True, exist_ok=True)
        (entry / "METADATA").touch()
        if whole:
            (entry / "RECORD").touch()
        return entry


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for name in ("base", "valkey", "build", "dev"):
        (requirements / f"{name}.txt").write_text(f"{name}==1\n")
    found = Place(tmp_path)
    monkeypatch.setattr(environment, "VENV", found.venv)
    monkeypatch.setattr(environment, "PYTHON", found.venv / "bin" / "python")
    monkeypatch.setattr(environment, "REQUIREMENTS", requirements)
    monkeypatch.setattr(environment, "_make", found.make)
    monkeypatch.setattr(environment, "_install", found.install)
    return found


def test_going_from_one_set_to_the_other_adds_and_never_removes(place: Place) -> None:
    environment.ensure(RUN)
    assert (environment.ready(RUN), environment.ready(DEVELOP)) == (True, False)
    environment.ensure(BUILD)
    assert [environment.ready(one) for one in (RUN, BUILD, DEVELOP)] == [True, True, False]
    environment.ensure(DEVELOP)
    assert [environment.ready(one) for one in (RUN, BUILD, DEVELOP)] == [True, True, True]
    assert place.done == ["make", RUN.stamp, BUILD.stamp, DEVELOP.stamp]


def test_the_developers_set_is_enough_for_all_and_its_stamp_is_what_it_was(place: Place) -> None:
    environment.ensure(DEVELOP)
    assert environment.ready(RUN)
    digest = hashlib.sha256(b"dev==1\n").hexdigest()
    assert (place.venv / ".requirements").read_text() == f"{digest} {environment.PYTHON.resolve()}\n"


def test_the_stamps_follow_the_requirements(place: Place) -> None:
    environment.ensure(RUN)
    for name in ("base", "valkey"):
        (environment.REQUIREMENTS / f"{name}.txt").write_text("other==1\n")
        assert not environment.ready(RUN)
        environment.ensure(RUN)
    assert place.done == ["make", RUN.stamp, RUN.stamp, RUN.stamp]


def test_an_interrupted_installation_is_finished_at_the_next_start(place: Place) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    environment.ensure(DEVELOP)
    before = (environment.REQUIREMENTS / "dev.txt").read_text()
    (environment.REQUIREMENTS / "dev.txt").write_text("newer==1\n")
    place.interrupted = interrupt
    with pytest.raises(KeyboardInterrupt):
        environment.ensure(DEVELOP)
    # half of the new ones are there now: the old stamp says nothing any longer, also when the file comes back
    (environment.REQUIREMENTS / "dev.txt").write_text(before)
    assert not environment.ready(DEVELOP)
    place.interrupted = lambda: None
    half, whole = place.package("half-1", whole=False), place.package("whole-1")
    environment.ensure(DEVELOP)
    assert (half.exists(), whole.exists(), environment.ready(DEVELOP)) == (False, True, True)


def test_an_environment_whose_making_was_interrupted_is_made_again(place: Place) -> None:
    place.make(0)
    shutil.rmtree(place.package("pip-1"))
    place.package("pip-1", whole=False)
    environment.ensure(RUN)
    assert place.done == ["make", "make", RUN.stamp]


def test_a_link_to_an_environment_works(place: Place, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place.venv.symlink_to(tmp_path / "elsewhere")
    environment.ensure(RUN)
    assert environment.ready(RUN)
    assert (tmp_path / "elsewhere" / RUN.stamp).is_file()
    assert place.venv.is_symlink()


def test_what_is_not_an_environment_is_not_emptied(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place.venv.symlink_to(tmp_path / "gone")
    with pytest.raises(SystemExit):
        environment.ensure(RUN)
    assert f".venv is a link to {tmp_path / 'gone'}, which is not there" in capsys.readouterr().err
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "thesis.tex").touch()
    with pytest.raises(SystemExit):
        environment.ensure(RUN)
    assert "holds something other than a virtual environment" in capsys.readouterr().err
    assert place.done == []


def test_an_installer_is_ended_with_its_children_when_it_is_interrupted(tmp_path: Path) -> None:
    pids: list[int] = []

    def told(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    installer = environment.Installer(["/bin/sh", "-c", "sleep 60 & echo $!; wait"], 2)
    with pytest.raises(KeyboardInterrupt):
        installer.result(told)
    [pid] = pids
    wait_until(lambda: _ended(pid), 10, "the end of the installer's child")


def _ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ([], None),
        (["help"], None),
        (["--version"], None),
        (["frob"], None),
        (["up", "--help"], None),
        (["up", "--workers", "2"], RUN),
        (["gateway", "keys"], RUN),
        (["auth", "--help"], RUN),
        (["test", "tests/unit"], DEVELOP),
        (["check"], DEVELOP),
        (["bench"], DEVELOP),
    ],
)
def test_each_command_needs_its_set(arguments: list[str], needed: Packages | None) -> None:
    assert environment._needed(arguments) is needed


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--version"], 0, "gatehouse 0."),
        (["up", "--help"], 0, "usage: ./dev up"),
        (["frob"], 64, "there is no command 'frob'"),
    ],
)
def test_what_needs_no_packages_makes_no_environment(arguments: list[str], status: int, told: str, tmp_path: Path) -> None:
    for name in ("tools", "services/common"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dev", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["./dev", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, told in done.stdout + done.stderr) == (status, True)
    assert not (tmp_path / ".venv").exists()
