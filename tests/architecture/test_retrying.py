"""`./dev test --retry-alone`: what fails once is reported as flaky, what fails twice fails the run, and many failures are not run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import retrying

pytestmark = pytest.mark.slow
# importing what plugins need takes most of the time of a run of one test
LEAN = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
# fails the first time it is run, passes afterwards
ONCE = """
import pathlib, pytest
MARK = pathlib.Path(__file__).with_suffix(".seen")

@pytest.mark.parametrize("what", ["a@b", "c"])
def test_that_fails_once(what):
    seen = MARK.with_name(f"{what}.seen")
    first = not seen.exists()
    seen.touch()
    assert not first, "the first time"
"""
ALWAYS = """
def test_that_fails():
    assert 1 == 2
"""
PASSES = """
def test_that_passes():
    pass
"""


def run(folder: Path, *arguments: str, **files: str) -> tuple[int, str]:
    """The exit status and what was said, of a run over these files."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    # its own root: what it runs is not a test of ours
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p no:valkey --import-mode=importlib\n")
    code = f"import sys; from pathlib import Path; from tests.support import retrying; retrying.ROOT = Path({str(folder)!r}); "
    code += f"sys.exit(retrying.run(['-q', '--rootdir', {str(folder)!r}, {str(folder)!r}, *{list(arguments)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100, env=LEAN)
    return done.returncode, done.stdout + done.stderr


def flaky(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("FLAKY")]


@pytest.mark.parametrize("processes", [[], ["-n", "2", "--dist", "loadgroup"]], ids=["one process", "several"])
def test_what_passes_alone_is_told_and_fails_nothing(tmp_path: Path, processes: list[str]) -> None:
    grouped = ONCE.replace("@pytest.mark.par", '@pytest.mark.xdist_group("one")\n@pytest.mark.par')
    status, said = run(tmp_path, *processes, once=grouped, passes=PASSES)
    assert status == 0, said
    assert sorted(line.partition(":")[0] for line in flaky(said)) == [
        "FLAKY test_that_fails_once[a@b] (test_once.py)",
        "FLAKY test_that_fails_once[c] (test_once.py)",
    ]
    assert all("test_once.py:11: AssertionError" in line for line in flaky(said))


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    status, said = run(tmp_path, once=ONCE, always=ALWAYS)
    assert status == 1, said
    assert len(flaky(said)) == 2
    assert "test_that_fails_once" in flaky(said)[0]


def test_all_that_passes_is_run_once(tmp_path: Path) -> None:
    status, said = run(tmp_path, passes=PASSES)
    assert (status, flaky(said)) == (0, [])
    assert "again, alone" not in said


@pytest.mark.parametrize(("failing", "told"), [(retrying.MOST, f"0 {retrying.MOST}"), (retrying.MOST + 1, "1 0")])
def test_a_real_break_is_not_run_again(tmp_path: Path, failing: int, told: str) -> None:
    """Each would pass alone; the script prints the exit status and how many were run again."""
    text = f"import pytest\n@pytest.mark.parametrize('n', range({failing}))\ndef test_that_fails(n):\n    assert n < 0\n"
    (tmp_path / "test_many.py").write_text(text)
    code = """
import sys
from tests.support import retrying
again = []
status = retrying.run(["-q", "-p", "no:cacheprovider", "--rootdir", *sys.argv[1:]], alone=lambda node: again.append(node) or True)
print(status, len(again))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, tmp_path], capture_output=True, text=True, check=False, timeout=100, env=LEAN
    )
    assert done.stdout.splitlines()[-1] == told, done.stdout + done.stderr


@pytest.mark.parametrize("broken", ["import nothing_of_that_name\n", "def test_x(:\n"])
def test_what_cannot_be_collected_fails_the_run(tmp_path: Path, broken: str) -> None:
    status, said = run(tmp_path, broken=broken, once=ONCE)
    assert status != 0, said
    assert flaky(said) == []


def test_a_run_that_stopped_early_is_not_forgiven(tmp_path: Path) -> None:
    status, said = run(tmp_path, "-x", once=ONCE, passes=PASSES)
    assert status == 1, said
    assert flaky(said) == []


def test_a_fixture_that_fails_counts_as_its_test(tmp_path: Path) -> None:
    text = "import pytest\n@pytest.fixture\ndef broken():\n    raise ValueError('no')\ndef test_with_it(broken):\n    pass\n"
    status, said = run(tmp_path, fixture=text)
    assert status == 1, said
    assert "again, alone: test_fixture.py::test_with_it" in said
