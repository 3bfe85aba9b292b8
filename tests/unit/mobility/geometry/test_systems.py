"""Coordinate systems by their EPSG numbers."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.refusal import Refusal
from services.mobility.geometry.systems import read_srid


@pytest.mark.parametrize(
    ("given", "srid"),
    [(None, 4326), (4326, 4326), ("4326", 4326), (3857, 3857), ("28992", 28992), (7415, 7415), (4258, 4258), (4979, 4979)],
)
def test_known_systems(given: Any, srid: int) -> None:
    assert read_srid(given) == srid


@pytest.mark.parametrize("given", [0, -1, 1, 999999, 10**30, 5709, 4978, "", "x", "4326.0", "²", 4326.5, True, [], {}, "9" * 5000])
def test_unknown_ones_and_those_without_a_place_on_a_map_are_refused(given: Any) -> None:
    with pytest.raises(Refusal) as caught:
        read_srid(given)
    assert caught.value.status == 422
    shown = "…" if isinstance(given, (list, dict)) else str(given)[:100]
    assert caught.value.message == f"Invalid 'srid' parameter supplied. ({shown})."
