"""The operator key: made once, for its owner alone, and missed loudly."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from services.common.settings import SettingsError
from services.gateway import settings as module
from services.gateway.settings import Settings, load, operator_key


@pytest.mark.parametrize("wrong", ["*", "A,,B", "A B", "-"])
def test_names_of_variables_that_cannot_be_allowed(wrong: str) -> None:
    with pytest.raises(SettingsError, match="GATEWAY_ENV_ALLOW must be names"):
        load({"GATEWAY_ENV_ALLOW": wrong})
    assert load({"GATEWAY_ENV_ALLOW": "FRONTEND_URL, ORDERS_*"}).env_allow == ("FRONTEND_URL", "ORDERS_*")


def test_tags_are_separated_by_commas() -> None:
    assert load({"GATEWAY_TAGS": "edge, eu west,"}).tags == ("edge", "eu west")
    assert load({}).tags == ()


def test_a_key_is_made_once(tmp_path: Path) -> None:
    settings = Settings(operator_key_path=tmp_path / "var" / "operator.key")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(operator_key(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) >= 32
    assert [(file.name, file.stat().st_mode & 0o777) for file in (tmp_path / "var").iterdir()] == [("operator.key", 0o600)]


def test_the_setting_outranks_the_file(tmp_path: Path) -> None:
    assert operator_key(Settings(operator_key="chosen", operator_key_path=tmp_path / "none")) == "chosen"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_said_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "operator.key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="GATEWAY_OPERATOR_KEY_PATH"):
        operator_key(Settings(operator_key_path=file))


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left on device"):
        operator_key(Settings(operator_key_path=tmp_path / "operator.key"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("collector:4318", "must be a URL such as"),
        ("ftp://collector/", "must be a URL such as"),
        ("http://ada:s3cret@collector:4318", "must not hold a password"),
        ("http://collector:4318/?key=s3cret", "must not hold a password"),
    ],
)
def test_a_collector_is_a_url_without_a_password(value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load({"GATEWAY_TRACING": value})
    assert "s3cret" not in str(refused.value)


def test_traces_need_packages_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load({"GATEWAY_TRACING": "http://collector:4318"}).tracing == "http://collector:4318"
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install -r requirements/tracing\.txt"):
        load({"GATEWAY_TRACING": "http://collector:4318"})
    assert load({}).tracing is None
