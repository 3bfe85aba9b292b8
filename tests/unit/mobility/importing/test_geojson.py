"""GeoJSON: what is a node, what is refused with its place in the file, and that a long file is read in pieces."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from services.mobility.importing.json_stream import LARGEST, Cursor, NotJSON
from tests.unit.mobility.importing.conftest import Import, Service, done, stopped

LAYER = ("--layer", "my.places")


def feature(id: object = "a", geometry: Any = None, **properties: Any) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [5.2, 52.5]} if geometry is None else geometry
    return {"type": "Feature", "id": id, "properties": properties, "geometry": place}


def collection(*features: Any, **more: Any) -> str:
    return json.dumps({**more, "type": "FeatureCollection", "features": features}, ensure_ascii=False)


def write(folder: Path, text: str | bytes, name: str = "f.geojson") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_properties_are_data_and_one_is_the_name(run: Import, service: Service, tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + collection(feature(7, name="Café", n=1.5, ok=True, none=None, inner={"a": [1]})))
    found = done(run("geojson", path, *LAYER, "--json"))
    assert found["notes"] == {"values that are objects or lists": 1}
    node = service.nodes["my.places.7"]
    assert (node["id"], node["name"]) == ("7", "Café")
    assert node["data"] == {"name": "Café", "n": 1.5, "ok": True, "none": None, "inner": '{"a":[1]}'}
    assert node["geom"] == {"type": "Point", "coordinates": [5.2, 52.5]}


def test_other_properties_may_be_the_id_and_the_name(run: Import, service: Service, tmp_path: Path) -> None:
    path = write(tmp_path, collection(feature(None, ref=12.0, label="L")))
    done(run("geojson", path, *LAYER, "--id", "ref", "--name", "label", "--json"))
    assert service.nodes["my.places.12"]["name"] == "L"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (feature(None), "feature 2: it has no `id`; --id KEY names the property that is one"),
        (feature(True), "feature 2: it has no `id`"),
        (feature("a"), "feature 2 (id a): the id is taken by f.geojson, feature 1 (id a)"),
        (
            feature("A!"),
            "feature 2 (id A!): the id 'A!' becomes the same cdk_id my.places.a as 'a', which is taken by f.geojson, feature 1",
        ),
        (feature("!!!"), "feature 2 (id !!!): No cdk_id can be made of the id '!!!'"),
        ({**feature("b"), "geometry": None}, "feature 2 (id b): it has no geometry"),
        (17, "feature 2: not an object whose type is Feature"),
        ({"type": "Point", "coordinates": [0, 0]}, "feature 2: not an object whose type is Feature"),
    ],
)
def test_what_is_no_node_is_named_and_may_be_left_out(run: Import, service: Service, tmp_path: Path, given: Any, told: str) -> None:
    path = write(tmp_path, collection(feature("a"), given, feature("z")))
    assert told in stopped(run("geojson", path, *LAYER))
    found = done(run("geojson", path, *LAYER, "--on-error", "skip", "--json"))
    assert sum(found["left_out"].values()) == 1
    assert set(service.nodes) == {"my.places.a", "my.places.z"}


def test_ids_are_unique_in_all_files_of_a_run(run: Import, tmp_path: Path) -> None:
    files = [write(tmp_path, collection(feature("a")), name) for name in ("1.geojson", "2.geojson")]
    assert "2.geojson, feature 1 (id a): the id is taken by 1.geojson, feature 1" in stopped(run("geojson", *files, *LAYER))


@pytest.mark.parametrize("separator", ["", "\x1e"])
def test_lines_are_features(run: Import, service: Service, tmp_path: Path, separator: str) -> None:
    """RFC 8142, and newline-delimited GeoJSON, which has no record separators."""
    lines = [json.dumps(feature("a")), "", "{broken", json.dumps(feature("b"))]
    path = write(tmp_path, "".join(f"{separator}{line}\r\n" for line in lines), "f.geojsonl")
    assert "f.geojsonl, line 3: " in stopped(run("geojson", path, *LAYER))
    assert done(run("geojson", path, *LAYER, "--on-error", "skip", "--json"))["left_out"] == {"lines that are not JSON": 1}
    assert set(service.nodes) == {"my.places.a", "my.places.b"}


def test_a_single_feature_is_a_file(run: Import, service: Service, tmp_path: Path) -> None:
    done(run("geojson", write(tmp_path, json.dumps(feature("a"))), *LAYER, "--json"))
    assert set(service.nodes) == {"my.places.a"}


def test_the_reference_system_is_the_files_or_the_option(run: Import, service: Service, tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::28992"}}
    path = write(tmp_path, json.dumps({"crs": crs, "features": [feature("a")], "type": "FeatureCollection"}))
    done(run("geojson", path, *LAYER, "--json"))
    done(run("geojson", path, *LAYER, "--srid", "3857", "--json"))
    assert [body["create"]["params"]["srid"] for body in service.bodies] == [28992, 3857]


@pytest.mark.parametrize("crs", [None, {}, {"properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}])
def test_degrees_are_known_by_their_names(run: Import, service: Service, tmp_path: Path, crs: object) -> None:
    path = write(tmp_path, json.dumps({"crs": crs, "features": [feature("a")], "type": "FeatureCollection"}))
    done(run("geojson", path, *LAYER, "--json"))
    assert service.bodies[0]["create"]["params"]["srid"] == 4326


def test_an_unknown_reference_system_is_not_taken_for_degrees(run: Import, service: Service, tmp_path: Path) -> None:
    good = write(tmp_path, json.dumps({"type": "FeatureCollection", "features": [feature("a")]}))
    path = tmp_path / "local.geojson"
    path.write_text(json.dumps({"crs": {"properties": {"name": "ESRI:102100"}}, "features": [], "type": "FeatureCollection"}))
    said = stopped(run("geojson", good, path, *LAYER))
    assert "local.geojson: its reference system 'ESRI:102100'" in said and "--srid" in said
    assert service.bodies == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected '{', found ''|the text ends where '{' should be"),
        ("[]", "expected '{', found '['"),
        ("{}", "type None is neither FeatureCollection nor Feature"),
        (collection(feature("a"))[:-1], "the text ends where ',' should be"),
        (collection(feature("a"))[:-10], "cannot be read after feature 1"),
        (collection(feature("a")) + "{}", "text after the end; if there is one feature a line, name the file .geojsonl"),
        ('{"type":"FeatureCollection","features":[{"id": nope}]}', "Expecting value"),
        ('{"type":"FeatureCollection","features":[{"id":NaN}]}', "NaN is not JSON"),
        ('{"type":"FeatureCollection","features":[{"id":1' + "0" * 5000 + "}]}", "Exceeds the limit"),
        ("[" * 100_000, "expected '{', found '['"),
        ('{"a":' + "[" * 100_000, "nested too deeply"),
        (b'{"type": "\xff"}', "the file is not UTF-8"),
        ("\x1e{}", "name the file .geojsonl"),
    ],
)
def test_what_is_not_geojson_is_told(run: Import, tmp_path: Path, text: str | bytes, told: str) -> None:
    said = stopped(run("geojson", write(tmp_path, text), *LAYER, "--srid", "4326"))
    assert any(one in said for one in told.split("|")), said


def test_a_value_may_end_anywhere_in_a_piece() -> None:
    """Every value is read in pieces of each length, cut inside strings, escapes, numbers and literals."""
    value = {"a": [1, -2.5e3, "é\\u00e9\\n", True, None, {"b": "}"}], "c": 12345}
    text = json.dumps(value).encode()

    class Short(io.BytesIO):
        size = 1

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(self.size)

    for size in range(1, len(text)):
        file = Short(text + b" 12 ")
        file.size = size
        cursor = Cursor(file)
        assert (cursor.value(), cursor.value(), cursor.peek()) == (value, 12, "")


def test_a_long_file_is_read_in_pieces() -> None:
    """40 MB of features, a small part of which is in memory at a time."""
    one = json.dumps(feature("a", text="x" * 2000)).encode() + b",\n"
    count = 20_000

    class Endless(io.RawIOBase):
        left = count

        def read(self, size: int = -1, /) -> bytes:
            take = min(self.left, max(1, size // len(one)))
            self.left -= take
            return one * take if take else b""

    cursor = Cursor(Endless())  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        for _ in range(count):
            cursor.value()
            cursor.take(",")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_one_value_has_a_bound() -> None:
    cursor = Cursor(io.BytesIO(b'"' + b"x" * (LARGEST + 10)))
    with pytest.raises(NotJSON, match="one value is longer than"):
        cursor.value()
