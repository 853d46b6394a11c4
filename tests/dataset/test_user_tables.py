"""Tables as spreadsheet programs save them."""

import unicodedata

import pytest

from nnunet_femur.dataset.user_tables import read_table
from tests.refusing import refused

COMPOSED = unicodedata.normalize("NFC", "Hüfte")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


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
    with refused("invalid-file", path):
        read_table(path)
