"""cdk_ids as the original makes them."""

from __future__ import annotations

import hashlib
import string

import pytest

from services.common.refusal import Refusal
from services.mobility.nodes.rules import ids


@pytest.mark.parametrize(
    ("text", "cdk_id"),
    [
        ("ASD", "a.rail.asd"),
        ("Gare de l'Est", "a.rail.gare.de.lest"),
        ('the "old" `yard`', "a.rail.the.old.yard"),
        ("  A-B ", "a.rail.a.b"),
        ("a.b", "a.rail.a.b"),
        ("--x__y--", "a.rail.x__y"),
        ("Zürich HB, Gleis 3", "a.rail.zurich.hb.gleis.3"),
        ("Nørrebro Łódź Straße", "a.rail.norrebro.lodz.strasse"),
        ("ÉCOLE", "a.rail.ecole"),
        ("a\u2013b", "a.rail.a.b"),
        ("\u2121 5", "a.rail.tel.5"),  # TELEPHONE SIGN is decomposed to capital letters
        ("東京 5", "a.rail.5"),
        ("42", "a.rail.42"),
    ],
)
def test_an_id_is_folded(text: str, cdk_id: str) -> None:
    assert ids.of_text("a.rail", text, {}) == cdk_id


@pytest.mark.parametrize("text", ["", "!!!", "東京", " . ", "'"])
def test_an_id_without_letter_or_digit_makes_no_cdk_id(text: str) -> None:
    with pytest.raises(Refusal, match="No cdk_id can be made of the id") as refusal:
        ids.of_text("a.rail", text, {"index": 3})
    assert (refusal.value.status, refusal.value.fields) == (422, {"index": 3})


def test_ids_have_a_length() -> None:
    assert len(ids.of_text("a.rail", "x" * 248, {})) == 255
    for text in ("x" * 249, "x" * 256):
        with pytest.raises(Refusal, match="at most 255 characters"):
            ids.of_text("a.rail", text, {})


def test_openstreetmaps_ids_stay_as_they_are() -> None:
    assert [ids.of_text("osm", text, {}) for text in ("n46419880", "w1", "n1x")] == ["n46419880", "w1", "osm.n1x"]
    assert ids.of_text("a", "n46419880", {}) == "a.n46419880"


def test_a_path_of_the_api_is_no_cdk_id() -> None:
    with pytest.raises(Refusal, match=r"No node may be called 'openapi\.json'"):
        ids.of_text("openapi", "JSON", {})


def test_a_route_without_id_is_named_by_its_members() -> None:
    one, other = ids.of_members("a.rail", ["n1", "n2"]), ids.of_members("a.rail", ["n2", "n1"])
    assert one != other
    assert one == ids.of_members("a.rail", ["n1", "n2"])
    layer, _, text = one.rpartition(".")
    assert (layer, len(text)) == ("a.rail", 22)
    number = 0
    for digit in text:
        number = number * 62 + (string.digits + string.ascii_lowercase + string.ascii_uppercase).index(digit)
    assert number == int(hashlib.md5(b"n1n2").hexdigest(), 16)


@pytest.mark.parametrize("given", [True, None, [], {}])
def test_an_id_is_a_text_or_a_number(given: object) -> None:
    with pytest.raises(Refusal, match="'id' must be a string or a number"):
        ids.text_of(given, "id", {})
