"""The layout with a table: tables as spreadsheet programs save them, and the files that they name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.layouts.table import found_below
from nnunet_femur.conversion.options import ConversionOptions
from tests.refusing import names, refused

OPTIONS = ConversionOptions(layout="csv")


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside three images and masks; the files are empty."""
    for name in ("a/ct.nrrd", "a/seg.nrrd", "b/ct.nrrd", "b/seg.nrrd", "b/more.nrrd", "P 3_scan.nrrd", "m3.seg.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def write(text: str, name: str = "list.csv", **options: str) -> Path:
        (tmp_path / name).write_text(text, **options)
        return tmp_path / name

    return write


class TestRows:
    def test_every_column(self, table):
        found = find_cases(
            table(
                "image,mask,patient,side,set\n"
                "a/ct.nrrd,a/seg.nrrd,007,left,train\n"
                "b/ct.nrrd,b/seg.nrrd|b/more.nrrd,7,R,test\n"
                "P 3_scan.nrrd,m3.seg.nrrd,,,\n"
            ),
            OPTIONS,
        )
        first, second, third = found.cases
        assert (first.id, first.patient, first.side, first.set) == ("A", "7", "left", "train")
        assert (second.id, second.patient, second.side, second.set) == ("B", "7", "right", "test")
        assert second.masks == (Path("b/seg.nrrd"), Path("b/more.nrrd"))
        assert third.id.startswith("P_3_SCAN-")
        assert (third.patient, third.side, third.set) == (third.id, "unknown", "")
        assert [finding.code for finding in found.findings] == ["id-changed"]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_as_spreadsheets_write_it(self, table, separator, encoding):
        rows = ("Image,MASK,Id", "a/ct.nrrd,a/seg.nrrd,case-1", "", ",,")
        found = find_cases(table("\r\n".join(rows).replace(",", separator), encoding=encoding), OPTIONS)
        assert [case.id for case in found.cases] == ["CASE-1"]
        assert found.findings == ()

    def test_files_are_relative_to_the_table(self, table, tmp_path):
        (tmp_path / "lists").mkdir()
        image = tmp_path / "b/ct.nrrd"
        path = table(f"image,mask\n../a/ct.nrrd,../a/seg.nrrd\n{image},../b/seg.nrrd\n", "lists/x.csv")
        found = find_cases(path, OPTIONS)
        assert found.root == tmp_path / "lists"
        assert [case.image.as_posix() for case in found.cases] == ["../a/ct.nrrd", "../b/ct.nrrd"]

    @pytest.mark.parametrize(
        ("row", "named"),
        [
            ("gone.nrrd,a/seg.nrrd,1,left,", "gone.nrrd"),
            ("a/ct.nrrd,gone.nrrd,1,left,", "gone.nrrd"),
            ("a/ct.nrrd,a/seg.nrrd|gone.nrrd,1,left,", "gone.nrrd"),
            (",a/seg.nrrd,1,left,", "no image"),
            ("a/ct.nrrd,,1,left,", "no mask"),
            ("a/ct.nrrd", "no mask"),
            ("a/ct.nrrd,a/seg.nrrd,1,up,", "got up"),
            ("a/ct.nrrd,a/seg.nrrd,1,left,holdout", "got holdout"),
        ],
    )
    def test_a_row_that_cannot_be_used_is_named(self, table, row, named):
        found = find_cases(table(f"image,mask,patient,side,set\n{row}\n"), OPTIONS)
        assert found.cases == ()
        (finding,) = found.findings
        assert (finding.code, finding.file) == ("table-row", "list.csv")
        assert "row 2" in finding.problem
        assert named in finding.problem

    def test_one_id_twice(self, table):
        found = find_cases(table("image,mask,id\na/ct.nrrd,a/seg.nrrd,x\nb/ct.nrrd,b/seg.nrrd,X\n"), OPTIONS)
        (finding,) = found.findings
        assert finding.code == "duplicate-id"
        assert names(finding.problem, "2 and 3")


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "code", "named"),
        [
            ("", "invalid-file", ("image", "mask")),
            ("image,patient\na,b\n", "invalid-file", ("mask",)),
            ("image,mask\n", "no-cases", ("list.csv",)),
            ("image,mask\n,\n", "no-cases", ("list.csv",)),
        ],
    )
    def test_no_table_of_cases(self, table, text, code, named):
        with refused(code, *named):
            find_cases(table(text), OPTIONS)

    def test_not_utf_8(self, tmp_path):
        (tmp_path / "x.csv").write_bytes("image,mask\nfémur.nrrd,x\n".encode("utf-16"))
        with refused("invalid-file", tmp_path / "x.csv"):
            find_cases(tmp_path / "x.csv", OPTIONS)


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Größe_CT.nrrd") for form in ("NFC", "NFD"))


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
