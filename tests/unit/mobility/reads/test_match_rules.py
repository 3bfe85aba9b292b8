"""Which of the nodes near an object it is."""

from __future__ import annotations

import pytest

from services.mobility.reads.rules import match
from services.mobility.reads.rules.match import Candidate


@pytest.mark.parametrize(
    ("one", "other", "similar"),
    [
        ("Amsterdam Centraal", "amsterdam  centraal!", 1),
        ("Carré", "CARRE", 1),
        ("Station Zuid", "Zuid", 2 * 3 / (9 + 3)),
        ("Stedelijk Museum", "Museum het Stedelijk te Amsterdam", 2 * 13 / (13 + 24)),
        ("Koninklijk Theater", "Koninklijk Theater Carré aan de Amstel in Amsterdam", 0.7),
        ("Dam", "Rembrandtplein", 0),
        ("A", "B", 0),
        ("", "Dam", 0),
        (None, "Dam", 0),
        ("!!!", "???", 0),
    ],
)
def test_names_are_compared_by_their_pairs_of_letters(one: str | None, other: str | None, similar: float) -> None:
    assert match.similarity(one, other) == match.similarity(other, one) == pytest.approx(similar)


def test_distance_and_name_decide_together() -> None:
    near = [("far", "Dam", 99.0), ("out", "Dam", 101.0), ("near", "Damrak", 5.0), ("b", "Dam", 20.0), ("a", "Dam", 20.0), ("no", None, 0.0)]
    assert [one.cdk_id for one in match.candidates("Dam", 100, near)] == ["a", "b", "near", "far"]
    assert match.candidates(None, 100, near) == []


def test_a_node_is_the_match_of_one_object() -> None:
    def one(cdk_id: str, score: float) -> Candidate:
        return Candidate(score, 1.0, cdk_id, "", 1.0)

    found = [[one("x", 0.2), one("y", 0.5)], [one("x", 0.1)], [one("x", 0.3)], []]
    assert {index: got.cdk_id for index, got in match.assign(found, []).items()} == {1: "x", 0: "y"}
    assert {index: got.cdk_id for index, got in match.assign(found, ["y"]).items()} == {1: "x"}
