"""Filters of lists that ask for data, names, members and modalities."""

from __future__ import annotations

import pytest

from services.mobility.reads.store import searching
from tests.unit.mobility.conftest import API, STATION, good, refused
from tests.unit.mobility.reads.conftest import Data


@pytest.fixture(params=[5000, 0], ids=["few", "many"])
def as_few_or_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers, whether the nodes that can be found are few, and read first, or too many for that."""
    monkeypatch.setattr(searching, "FEW", request.param)


def test_few_are_looked_at_in_pieces_until_the_page_is_full(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_PIECE", 1)
    named = [f"n{number}" for number in range(30)]
    for number, name in enumerate(named):
        data.node(name, **({"a__rail": {}} if number % 3 == 2 else {}))
    wanted = named[2::3]
    assert data.ids(layer="a.rail", per_page=100) == wanted
    assert [data.ids(layer="a.rail", per_page=3, page=page) for page in (1, 2, 4, 5)] == [wanted[:3], wanted[3:6], wanted[9:], []]
    box = "53,4,52,6"
    assert [one for one in data.ids(bbox=box, per_page=100) if one in named] == named
    assert data.ids(bbox=box, layer="a.rail", per_page=4, page=2) == wanted[4:8]


@pytest.fixture
def layers(data: Data) -> Data:
    data.layer("a.b.c")
    data.layer("ax")
    data.node("both", a__rail={}, b__poi={})
    data.node("rail", a__rail={})
    data.node("poi", b__poi={}, ax={})
    data.node("deep", a__b__c={})
    data.node("bare")
    return data


LAYERS = [
    ("a.rail", ["both", "rail"]),
    ("a.rail,b.poi", ["both"]),
    ("a.rail|b.poi", ["both", "rail", "poi"]),
    ("a.*", ["both", "rail", "deep"]),  # neither `a` itself nor `ax`
    ("a.*,b.poi", ["both"]),
    ("a.*|ax", ["both", "rail", "poi", "deep"]),
    ("A.*", []),
    ("no.such", []),
    ("no.*", []),
    ("a.rail,no.such", []),
    ("a.rail|no.such", ["both", "rail"]),
    ("*", [STATION, "both", "rail", "poi", "deep", "bare"]),
    ("", []),
]


@pytest.mark.usefixtures("as_few_or_many")
def test_layers(layers: Data) -> None:
    for layer, found in LAYERS:
        assert (layer, layers.ids(layer=layer)) == (layer, found)
        counted = good(layers.api.get("/nodes", layer=layer, count="", per_page=1))
        assert (layer, counted["record_count"]) == (layer, len(found))


def test_the_data_of_those_layers_is_shown(layers: Data) -> None:
    [shown] = good(layers.api.get("/nodes", layer="a.rail,b.poi"))["results"]
    assert shown["layers"] == {"a.rail": {"data": {}}, "b.poi": {"data": {}}}
    [shown] = good(layers.api.get("/nodes", layer="b.poi", per_page=1, page=2))["results"]
    assert list(shown["layers"]) == ["b.poi"]
    assert all("layers" not in one for one in good(layers.api.get("/nodes"))["results"])


def test_layers_that_cannot_be_read(sqlite_api: API) -> None:
    both = sqlite_api.get("/nodes", layer="a,b|c")
    assert both.status_code == 422
    assert both.json is not None and both.json["message"].startswith("Layer parameter cannot contain a combination of '|' and ','")
    for layer in ("a*", ".*", "a.*.b", "*.a", "**", "a.rail,b.*.*"):
        message = "You can only use wildcards in layer names directly after a name separator (e.g. osm.*)"
        refused(sqlite_api.get("/nodes", layer=layer), 422, message)


VALUES = {"s": "text", "n": 5, "f": 1.5, "big": 1e16, "t": True, "z": None, "e": "", "ü ☃": "é", 'q"\\': 1, "five": "5", "c": "x,y"}


FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({"s": "text"}, ["x", "y"]),
    ({"s": "Text"}, []),
    ({"s": ""}, ["x", "y"]),
    ({"n": "5"}, ["x"]),
    ({"n": "5.0"}, []),
    ({"f": "1.5"}, ["x"]),
    ({"big": "1e+16"}, ["x"]),
    ({"t": "true"}, ["x"]),
    ({"t": "True"}, []),
    ({"z": "null"}, ["x"]),
    ({"z": ""}, ["x"]),
    ({"five": "5"}, ["x"]),
    ({"five": "5", "n": "5"}, ["x"]),
    ({"ü ☃": "é"}, ["x"]),
    ({'q"\\': "1"}, ["x"]),
    ({'q"\\': ""}, ["x"]),
    ({"nokey": ""}, []),
    ({"s": "text,text"}, ["x", "y"]),
    ({"s": "text,other"}, []),
    ({"only": "y"}, ["y"]),
    ({"s": "text", "only": "y"}, ["y"]),
    ({"%' OR 1=1 --": "x"}, []),
]


@pytest.mark.usefixtures("as_few_or_many")
def test_keys_and_values(data: Data) -> None:
    data.node("x", a__rail=VALUES)
    data.node("y", a__rail={"s": "text", "only": "y"})
    data.node("z", b__poi=VALUES)
    for filters, found in FILTERS:
        assert (filters, data.ids(**{f"a.rail::{key}": value for key, value in filters.items()})) == (filters, found)


@pytest.mark.usefixtures("as_few_or_many")
def test_filters_are_joined(data: Data) -> None:
    data.node("x", a__rail={"k": "1"}, b__poi={"p": "1"})
    data.node("y", a__rail={"k": "2"})
    data.node("z", b__poi={"p": "1"})
    assert data.ids(**{"a.rail::k": "", "b.poi::p": "1"}) == ["x"]
    assert data.ids(**{"a.rail::k": "2", "b.poi::p": "1", "data_op": "or"}) == ["x", "y", "z"]
    assert data.ids(**{"a.rail::k": "1|2", "data_op": "OR"}) == ["x", "y"]
    assert data.ids(**{"a.rail::k": "1|2", "no.such::k": "", "data_op": "or"}) == ["x", "y"]
    assert data.ids(**{"a.rail::k": "1", "no.such::k": ""}) == []
    assert data.ids(**{"no.such::k": "1"}) == []
    assert data.ids(**{"a.rail::k": "", "layer": "b.poi"}) == ["x"]
    [shown] = good(data.api.get("/nodes", **{"b.poi::p": "1", "layer": "a.rail"}))["results"]
    assert list(shown["layers"]) == ["a.rail", "b.poi"]
    for query in ({"a.rail::k": "1|2"}, {"a.rail::k": "1,2", "data_op": "or"}):
        assert data.api.get("/nodes", **query).status_code == 422
    assert data.api.get("/nodes", **{"a.*::k": ""}).status_code == 422
    assert data.api.get("/nodes", data_op="xor").status_code == 422


NAMES = [
    ("kerk", ["K", "k"]),
    ("KERK", ["K", "k"]),
    ("100%", ["p"]),
    ("%", ["p"]),
    ("_", ["u"]),
    ("\\", ["b"]),
    ("überl", ["ü", "Ü"]),
    ("ÜBERL", ["ü", "Ü"]),
    ("ΑΘΉΝΑΣ", ["gr"]),
    ("straße", ["ß"]),
    ("strasse", []),
    ("東京", ["jp"]),
    ("'; DROP TABLE nodes; --", []),
]


def test_part_of_a_name(data: Data) -> None:
    names = {"K": "Oude KERK", "k": "kerkplein", "p": "100% nat", "u": "a_b", "b": "a\\b", "ü": "überlingen", "Ü": "ÜBERLINGEN"}
    for cdk_id, name in {**names, "gr": "Αθήνας", "ß": "Straße", "jp": "東京駅"}.items():
        data.node(cdk_id, name=name)
    data.node("nameless")
    for sought, found in NAMES:
        assert (sought, data.ids(name=sought)) == (sought, found)


def test_names_that_are_alike(data: Data) -> None:
    for name in ("Kerkstraat", "Kerkstraat Noord", "kerkstraatje", "Molenweg", "Überlinger Straße", "Kerk"):
        data.node(name, name=name)
    data.node("nameless")
    # by pg_trgm: similarity('Kerkstraat', …) is 1, 0.647, 0.714, 0 and 0.333
    assert data.ids(name="kerkSTRAAT", trigrams="") == ["Kerkstraat", "kerkstraatje", "Kerkstraat Noord", "Kerk"]
    assert data.ids(name="ÜBERLINGEN", trigrams="") == ["Überlinger Straße"]
    assert data.ids(name="kerkstraat", trigrams="", per_page="2", page="2") == ["Kerkstraat Noord", "Kerk"]
    assert data.api.get("/nodes", name="--", trigrams="").status_code == 422


@pytest.mark.usefixtures("as_few_or_many")
def test_routes_by_their_members(data: Data) -> None:
    for stop in "abcd":
        data.node(stop, kind="ptstop")
    data.node("abc", kind="route", members="abc")
    data.node("cba", kind="ptline", members="cba")
    data.node("loop", kind="route", members="abca")
    assert data.ids("/routes", starts_in="a") == ["abc", "loop"]
    assert data.ids(starts_in="c") == ["cba"]
    assert data.ids(ends_in="a") == ["cba", "loop"]
    assert data.ids(starts_in="a", ends_in="c") == ["abc"]
    assert data.ids(contains="b") == ["abc", "cba", "loop"]
    assert data.ids(contains="a,c") == ["abc", "loop"]
    assert data.ids(contains="c,a") == ["cba", "loop"]
    assert data.ids(contains="c,b,a") == ["cba"]
    assert data.ids(contains="d") == []
    assert data.ids("/ptlines") == ["cba"]
    assert data.ids("/ptstops", per_page=2) == ["a", "b"]
    refused(data.api.get("/routes", starts_in="nope"), 422, "Nonexistent cdk_id --> nope")


def test_modalities_of_nodes(data: Data) -> None:
    data.node("tram", modalities=["tram"])
    data.node("both", modalities=["tram", "bus"])
    data.node("none")
    assert data.ids(modality="tram") == ["tram", "both"]
    assert data.ids(modality="tram,bus") == ["both"]
    assert data.ids(modality="tram|bus") == ["tram", "both"]
    assert data.ids(modality="horse") == []
    assert data.api.get("/nodes", modality="hovercraft").status_code == 422
    assert data.api.get("/nodes", modality="tram,bus|car").status_code == 422


def test_regions_are_what_the_layer_of_authorities_created(data: Data) -> None:
    data.node("r", "POLYGON ((4 52, 5 52, 5 53, 4 52))", layer="admr")
    data.node("n")
    assert data.ids("/regions") == ["r"]
