"""Results of benchmarks in JSON, and their tables between markers of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.marked_tables import origin, read_results, replace_table, table, write_results

if TYPE_CHECKING:
    from pathlib import Path


def test_a_table_shows_three_digits_and_missing_values() -> None:
    assert table(("way", "ms"), [("a", 1234.5), ("b", 0.98765), ("c", None), ("d", 7)]).splitlines() == [
        "| way | ms |",
        "| --- | ---: |",
        "| a | 1234 |",
        "| b | 0.988 |",
        "| c | – |",
        "| d | 7 |",
    ]


class TestReplaceTable:
    def test_only_the_text_between_the_markers_changes(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n<!-- begin y -->\n<!-- end y -->\nc\n")
        replace_table(page, "x", "new")
        replace_table(page, "y", "\nother\n")
        replace_table(page, "x", "newer")
        assert page.read_text() == (
            "a\n<!-- begin x -->\nnewer\n<!-- end x -->\nb\n<!-- begin y -->\nother\n<!-- end y -->\nc\n"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "no markers\n",
            "<!-- begin x -->\n",
            "<!-- end x -->\n<!-- begin x -->\n",
            "<!-- begin x -->\n<!-- end x -->\n" * 2,
        ],
    )
    def test_a_page_without_the_markers_is_refused_and_kept(self, text: str, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(text)
        with pytest.raises(ValueError, match="<!-- begin x -->"):
            replace_table(page, "x", "new")
        assert page.read_text() == text


def test_the_command_of_results_has_no_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["/home/me/benchmarks/predict.py", "--folder", str(tmp_path / "true-size"), "--ways", "nnfemur predict"]
    monkeypatch.setattr("sys.argv", words)
    written = write_results(tmp_path / "out.json", "speed", [])
    assert written["command"] == "benchmarks/predict.py --folder true-size --ways 'nnfemur predict'"


def test_results_name_command_machine_and_date(tmp_path: Path) -> None:
    rows = [{"way": "ours", "ms": 1.5}]
    written = write_results(tmp_path / "out.json", "speed", rows, size=64)
    assert read_results(tmp_path / "out.json") == written
    assert written["rows"] == rows
    assert written["settings"] == {"size": 64}
    for part in (written["command"], written["machine"]["torch"], written["date"]):
        assert part in origin(written)
