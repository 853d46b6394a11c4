"""Tables as spreadsheet programs save them, and the files that they name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from nnunet_femur.conversion.layouts.table import found_below, read_table
from nnunet_femur.errors import InputError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Größe_CT.nrrd") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "text",
    [
        "case,patient\nL1,7\n",
        "\ufeffcase;patient\r\nL1;7\r\n",
        "case\tpatient\n\nL1\t7\n",
        "sep=;\ncase;patient\nL1;7\n",
        "SEP=|\n case | patient \n L1 | 7 \n",
        "\n\ncase,patient\n,\nL1,7",
    ],
    ids=["commas", "semicolons", "tabs", "excel", "any-separator", "blank-lines"],
)
def test_rows(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert [row for _, row in read_table(path)] == [["case", "patient"], ["L1", "7"]]


def test_line_numbers_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sep=;\ncase;patient\n\nL1;7\n")
    assert [line for line, _ in read_table(path)] == [2, 4]


def test_cells_are_composed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"image\n{DECOMPOSED}\n", encoding="utf-8")
    assert read_table(path)[1][1] == [COMPOSED]


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff\xfe\x00", b"case\0,patient\n", "größe".encode("cp1252")])
def test_what_is_not_utf8_text_is_refused(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_table(path)


class TestFoundBelow:
    @pytest.mark.parametrize("on_disk", [COMPOSED, DECOMPOSED])
    @pytest.mark.parametrize("in_table", [COMPOSED, DECOMPOSED])
    def test_either_form_is_found(self, tmp_path, on_disk, in_table):
        (tmp_path / "Bilder").mkdir()
        (tmp_path / "Bilder" / on_disk).touch()
        found = found_below(tmp_path, Path("Bilder") / in_table)
        assert found is not None
        assert (tmp_path / found).is_file()

    @pytest.mark.parametrize("name", ["gone.nrrd", "a" * 300, "a/" * 3000 + "b", "gone/../b"])
    def test_what_does_not_exist(self, tmp_path, name):
        assert found_below(tmp_path, Path(name)) is None

    def test_below_another_folder(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / DECOMPOSED).touch()
        assert found_below(tmp_path / "a", Path("..") / COMPOSED) is not None
