"""The example data of the mobility service is what its script writes."""

from __future__ import annotations

from pathlib import Path

from tools import example_town


def test_the_files_are_the_scripts(tmp_path: Path) -> None:
    example_town.main(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert len(written) == 11
    assert [str(path) for path in written if (tmp_path / path).read_text() != (example_town.FOLDER / path).read_text()] == []
