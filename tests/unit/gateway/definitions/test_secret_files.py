"""What definitions take from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.gateway.compiler import interpret, lint
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.secret_files import LARGEST, of_file
from services.gateway.definitions.sources import files_of, resolve
from tests.unit.gateway.exchanges import document

HIDDEN = "http://s3cret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    (made / "orders").mkdir(parents=True)
    (made / "target").write_text("http://orders:8080/base/\n")
    (made / "orders" / "key").write_text("0123456789abcdef0123456789abcdef\r\n")
    (tmp_path / "outside").write_text(HIDDEN)
    return made


def with_target(target: str, **more: Any) -> dict[str, Any]:
    return document(proxy={**document()["proxy"], "target_url": target}, **more)


def of(target: str, folder: Path) -> Any:
    return interpret(with_target(target), {"GATEWAY_SECRETS_PATH": str(folder)})


def refused(target: str, folder: Path | str) -> str:
    with pytest.raises(Mistakes) as wrong:
        interpret(with_target(target), {"GATEWAY_SECRETS_PATH": str(folder)})
    (mistake,) = wrong.value.mistakes
    assert mistake.pointer == "/proxy/target_url"
    assert "s3cret" not in mistake.message
    return mistake.message


@pytest.mark.parametrize(
    ("target", "path"), [("secrets://target", "/base"), ("secrets://target/v1", "/base/v1"), ("file://target", "/base")]
)
def test_an_address(target: str, path: str, folder: Path) -> None:
    found = of(target, folder)
    assert (found.proxy.targets[0].host, found.proxy.targets[0].path) == ("orders", path)
    assert found.raw["proxy"]["target_url"] == target


@pytest.mark.parametrize("reference", ["file://orders/key", "file://{folder}/orders/key"])
def test_what_tokens_are_checked_with(reference: str, folder: Path) -> None:
    reference = reference.format(folder=folder)
    raw = document(jwt_source=reference, enable_jwt=True, jwt_jwks_uris=[{"url": "secrets://target"}])
    resolved, wrong = resolve(raw, {"GATEWAY_SECRETS_PATH": str(folder)})
    assert (resolved["jwt_source"], wrong) == ("0123456789abcdef0123456789abcdef", [])
    assert resolved["jwt_jwks_uris"] == [{"url": "http://orders:8080/base/"}]
    assert files_of(raw) == {"/jwt_source": reference, "/jwt_jwks_uris/0/url": "secrets://target"}


def test_a_secret_in_a_file_is_no_warning(folder: Path) -> None:
    more = {"enable_jwt": True, "jwt_signing_method": "hmac", "jwt_identity_base_field": "sub", "jwt_policy_field_name": "pol"}
    found = interpret(document(jwt_source="file://orders/key", **more), {"GATEWAY_SECRETS_PATH": str(folder)})
    assert "/jwt_source" not in [warning.pointer for warning in lint(found)]


@pytest.mark.parametrize(
    "target",
    [
        "secrets://", "secrets://..", "secrets://.hidden", "secrets://../outside", "secrets://a%2Fb", "secrets://a\0b",
        "file://", "file:///", "file://../outside", "file://orders/../../outside", "file:///etc/passwd", "file://orders//key", "file://a\0b",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(target: str, folder: Path) -> None:
    assert "letters" in (message := refused(target, folder)) or "below the folder" in message


def test_a_path_that_climbs_within_the_folder(folder: Path) -> None:
    assert "below the folder" in refused(f"file://{folder}/../outside", folder)


def test_links_lead_to_files_of_the_folder_only(folder: Path) -> None:
    data = folder / "..data"
    data.mkdir()
    (data / "url").write_text("http://mounted")
    (folder / "url").symlink_to("..data/url")
    assert of("secrets://url", folder).proxy.targets[0].host == "mounted"
    (folder / "out").symlink_to("../outside")
    (folder / "away").symlink_to("..")
    (folder / "round").symlink_to("round")
    assert "link out of the folder" in refused("secrets://out", folder)
    assert "link out of the folder" in refused("file://away/outside", folder)
    assert "cannot be read" in refused("secrets://round", folder)


def test_what_is_not_a_text_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "empty").write_text("\n")
    (folder / "large").write_text("x" * (LARGEST + 1))
    assert "is not a file" in refused("secrets://pipe", folder)
    assert "cannot be read" in refused("secrets://orders", folder) or "is not a file" in refused("secrets://orders", folder)
    assert "not UTF-8" in refused("secrets://binary", folder)
    assert "is empty" in refused("secrets://empty", folder)
    assert "larger than 64 KB" in refused("secrets://large", folder)
    assert "No such file" in refused("secrets://missing", folder)
    assert "which is not set" in refused("secrets://target", "")
    assert "No such file" in refused("secrets://target", folder / "missing")


@pytest.mark.parametrize("content", ["s3cret", "http://s3cret_(", "ftp://s3cret", "http://user:s3cret@h"])
def test_a_mistake_does_not_repeat_what_a_file_holds(content: str, folder: Path) -> None:
    (folder / "wrong").write_text(content)
    assert refused("secrets://wrong", folder) == "what `secrets://wrong` stands for cannot be used here"


def test_one_line_break_does_not_count(folder: Path) -> None:
    for written, read in (("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")):
        (folder / "text").write_bytes(written.encode())
        assert of_file("secrets://text", str(folder)) == read
