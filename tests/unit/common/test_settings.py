"""Settings: every mistake at once, secrets from files, nothing unknown passes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.addresses import Network
from services.common.settings import EXIT_CONFIGURATION, Bind, SettingsError, load, load_or_exit, markdown, setting, valkey_url

ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Example:
    bind: Bind = setting(Bind("127.0.0.1", 1), help="Address.")
    limit: int = setting(5, help="Limit.", minimum=1, maximum=9)
    colour: str = setting("red", help="Colour.", choices=("red", "blue"))
    loud: bool = setting(False, help="Loud.")
    password: str | None = setting(None, help="Password.", secret=True)
    trusted: tuple[Network, ...] = setting((), help="Networks.")
    valkey_url: str | None = valkey_url()


@dataclasses.dataclass(frozen=True)
class Needy:
    name: str = setting(help="What to call it.")


def test_defaults_hold_when_the_environment_is_empty() -> None:
    assert load(Example, "EX", {}) == Example()


def test_values_are_read_by_type() -> None:
    found = load(
        Example,
        "EX",
        {"EX_BIND": "[::1]:80", "EX_LIMIT": "9", "EX_LOUD": "yes", "EX_TRUSTED": "10.0.0.0/8, ::1", "VALKEY_URL": "redis://h/0"},
    )
    assert found.bind == Bind("::1", 80)
    assert str(found.bind) == "[::1]:80"
    assert (found.limit, found.loud, len(found.trusted), found.valkey_url) == (9, True, 2, "redis://h/0")


def test_every_mistake_is_listed() -> None:
    environment = {
        "EX_BIND": "nonsense",
        "EX_LIMIT": "10",
        "EX_COLOUR": "green",
        "EX_LOUD": "maybe",
        "EX_TRUSTED": "10.0.0.1/33",
        "EX_LIMITS": "3",
        "VALKEY_URL": "http://x",
    }
    with pytest.raises(SettingsError) as caught:
        load(Example, "EX", environment)
    text = str(caught.value)
    assert len(caught.value.mistakes) == 7
    for name in environment:
        assert name in text
    assert "did you mean EX_LIMIT?" in text


def test_a_required_setting_says_what_it_is_for() -> None:
    with pytest.raises(SettingsError, match="EX_NAME is required: What to call it"):
        load(Needy, "EX", {})


def test_a_secret_comes_from_its_file_and_not_twice(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("hush hush\n")
    assert load(Example, "EX", {"EX_PASSWORD_FILE": str(file)}).password == "hush hush"
    with pytest.raises(SettingsError, match="given twice"):
        load(Example, "EX", {"EX_PASSWORD_FILE": str(file), "EX_PASSWORD": "x"})
    with pytest.raises(SettingsError, match="No such file"):
        load(Example, "EX", {"EX_PASSWORD_FILE": str(tmp_path / "none")})


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="EX_LIMIT_FILE is not a setting"):
        load(Example, "EX", {"EX_LIMIT_FILE": str(tmp_path)})


def test_mistakes_never_show_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, "EX", {"VALKEY_URL": "ftp://user:hush@host"})
    assert "hush" not in str(caught.value)


def test_the_process_ends_with_the_status_for_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_or_exit("ex", lambda: load(Example, "EX", {"EX_LIMIT": "x"}))
    assert caught.value.code == EXIT_CONFIGURATION
    assert "EX_LIMIT must be a whole number" in capsys.readouterr().err


def test_the_table_names_every_setting() -> None:
    table = markdown(Example, "EX")
    assert "| `EX_LIMIT` | `5` | Limit. |" in table
    assert "`EX_PASSWORD_FILE`" in table


def test_wrong_settings_end_a_migration_without_a_trace() -> None:
    command = [sys.executable, "-m", "services.common.migrate", "tokens"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"], "TOKENS_PRT": "3"}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 78
    assert done.stderr == "tokens: cannot start, 1 setting is wrong:\n  - TOKENS_PRT is not a setting of this service\n"
