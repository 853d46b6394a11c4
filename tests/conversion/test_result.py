"""Result of a conversion: its attributes, and how it is shown."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.conversion import ConversionOptions, ConversionResult, convert
from nnunet_femur.findings import Severity
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def result(hospital, raw) -> ConversionResult:
    hospital.add_patients()
    hospital.write("GoldStandard/L101_GS.nrrd", hospital.mask() * 2)
    return convert(hospital.folder, dataset_id=1, raw=raw)


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


class TestAttributes:
    def test_cases_are_those_of_the_table(self, result):
        rows = _rows(result.folder)
        assert [case.id for case in result.cases] == list(rows)
        for case in result.cases:
            row = rows[case.id]
            assert (case.patient, case.side, case.set) == (row["patient"], row["side"], row["set"])
            assert row["fold"] == ("" if case.fold is None else str(case.fold))
            assert f"{case.volume_ml:.3f}" == row["volume_ml"]
            assert " ".join(map(str, case.size_xyz)) == row["size"]

    def test_split(self, result):
        assert {case.id: case.set for case in result.cases} == result.split.set_of
        assert {case.id: case.fold for case in result.cases if case.fold is not None} == result.split.fold_of
        assert result.counts()["train"] == {"left": 2, "right": 2}

    def test_volumes_are_read_when_asked_for(self, result):
        for case in result.cases:
            image, mask = result.volumes[case.id].read()
            assert image.GetSize() == mask.GetSize() == case.size_xyz

    def test_findings_and_counts(self, result):
        assert [found.code for found in result.findings] == ["layout", "mask-label-2"]
        assert (result.dataset, result.usable, result.dry_run, result.left_out) == ("Dataset001_Femur", True, False, ())
        assert (len(result.written), result.reused) == (6, ())

    def test_a_dry_run_has_the_same_cases(self, hospital, result):
        other = result.folder.parents[1] / "other"
        preview = convert(hospital.folder, dataset_id=1, raw=other, dry_run=True)
        assert (preview.cases, preview.split) == (result.cases, result.split)
        assert preview.dry_run
        assert not other.exists()

    def test_an_unchanged_dataset_has_the_same_cases(self, hospital, raw, result):
        again = convert(hospital.folder, dataset_id=1, raw=raw)
        assert (again.cases, again.split, again.findings) == (result.cases, result.split, result.findings)
        assert (again.written, len(again.reused)) == ((), 6)


class TestArguments:
    def test_paths_are_text_too(self, hospital, raw):
        hospital.add_patients()
        assert convert(str(hospital.folder), dataset_id=1, raw=str(raw)).folder == raw / "Dataset001_Femur"

    def test_raw_is_nnunets_folder_by_default(self, hospital, raw, monkeypatch):
        hospital.add_patients()
        monkeypatch.setenv("nnUNet_raw", str(raw))
        assert convert(hospital.folder, dataset_id=1, dry_run=True).folder == raw / "Dataset001_Femur"
        assert not raw.exists()
        assert convert(hospital.folder, dataset_id=1).folder.is_dir()

    @pytest.mark.parametrize("split", ["4/1/1", (4, 1, 1)])
    def test_split_as_text_or_numbers(self, hospital, raw, split):
        hospital.add_patients()
        assert len(convert(hospital.folder, dataset_id=1, raw=raw, split=split, dry_run=True).split.train) == 4

    @pytest.mark.parametrize("split", [(4, 1), (4, 1, 0), (4, 1, 1.5)])
    def test_a_split_that_is_not_three_numbers(self, hospital, raw, split):
        with refused("invalid-option"):
            convert(hospital.folder, dataset_id=1, raw=raw, split=split)

    def test_options_by_name_replace_those_of_an_object(self, hospital, raw):
        hospital.add_patients(7)
        hospital.write("GoldStandard/L101_GS.nrrd", hospital.mask() * 0)
        options = ConversionOptions(layout="pairs")
        result = convert(hospital.folder, dataset_id=1, raw=raw, options=options, skip_bad=True)
        assert result.left_out == ("L101",)
        assert "layout" not in {found.code for found in result.findings}

    def test_an_unknown_option(self, hospital, raw):
        with pytest.raises(TypeError):
            convert(hospital.folder, dataset_id=1, raw=raw, colour="red")


class TestShown:
    def test_repr_has_name_sets_and_findings(self, result):
        shown = repr(result)
        assert "Dataset001_Femur" in shown
        assert "4 train" in shown
        assert "2 notes" in shown

    def test_html_is_escaped(self, hospital, raw):
        hospital.add_patients()
        (hospital.folder / "Images/<b>.txt").write_text("x")
        shown = convert(hospital.folder, dataset_id=1, raw=raw)._repr_html_()
        assert "<b>.txt" not in shown
        assert "&lt;b&gt;.txt" in shown
        assert "<td>train</td><td>4</td>" in shown

    def test_errors_of_a_dry_run(self, hospital, raw):
        (hospital.add_patients().folder / "Images/L101_CT.nrrd").unlink()
        preview = convert(hospital.folder, dataset_id=1, raw=raw, dry_run=True)
        assert [found.file for found in preview.findings if found.severity is Severity.ERROR] == [
            "GoldStandard/L101_GS.nrrd"
        ]
        assert "1 error" in repr(preview)
        assert "unpaired-mask" in preview._repr_html_()

    def test_printed_tables(self, result, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        result.print()
        printed = capsys.readouterr().out
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
        assert ["train", "4", "2", "2"] in cells
        assert any(row[:3] == ["note", "mask-label-2", "1"] and row[3].startswith("GoldStandard/L101") for row in cells)
        assert printed.splitlines()[-1] == result.summary()
