"""Pairing by the id at the start of a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_femur.errors import InputError
from nnunet_femur.intake.cases import Case
from nnunet_femur.intake.findings import Severity
from nnunet_femur.intake.pairing import find_pairs


@pytest.fixture
def folder(tmp_path):
    def make(*files: str) -> Path:
        for name in ("Images", "GoldStandard"):
            (tmp_path / name).mkdir(exist_ok=True)
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def _codes(findings):
    return [(finding.code, finding.file) for finding in findings]


class TestPairs:
    def test_an_id_is_a_letter_and_a_number(self, folder):
        cases, findings = find_pairs(folder("Images/L442_CT.nrrd", "GoldStandard/L442_GS.nrrd"))
        assert cases == [Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442_GS.nrrd"),))]
        assert findings == []

    def test_case_of_letters_does_not_matter(self, folder):
        source = folder("images/r7.NRRD", "GOLDSTANDARD/R7 manual.Nrrd")
        for name in ("Images", "GoldStandard"):
            (source / name).rmdir()
        cases, findings = find_pairs(source)
        assert [(case.id, case.side, case.image.as_posix()) for case in cases] == [("R7", "right", "images/r7.NRRD")]
        assert findings == []

    def test_left_and_right_are_one_patient_with_and_without_zeros(self, folder):
        cases, _ = find_pairs(folder(*(f"{f}/{c}_x.nrrd" for f in ("Images", "GoldStandard") for c in ("L042", "R42"))))
        assert [(case.id, case.patient, case.side) for case in cases] == [
            ("L042", "42", "left"),
            ("R42", "42", "right"),
        ]

    def test_another_letter_is_no_side(self, folder):
        cases, _ = find_pairs(folder("Images/P3.nrrd", "GoldStandard/P3.nrrd"))
        assert (cases[0].id, cases[0].patient, cases[0].side) == ("P3", "3", "unknown")

    def test_own_folders_and_pattern(self, folder):
        source = folder("ct/case-12_a.nrrd", "seg/case-12_b.nrrd")
        cases, _ = find_pairs(source, images_folder="ct", masks_folder="seg", id_pattern=r"case-\d+")
        assert [(case.id, case.patient, case.side) for case in cases] == [("CASE-12", "CASE-12", "unknown")]

    def test_hidden_files_are_nobodys_data(self, folder):
        source = folder("Images/L1.nrrd", "Images/.DS_Store", "Images/._L1.nrrd", "GoldStandard/L1.nrrd", "README.txt")
        assert find_pairs(source)[1] == []


class TestFindings:
    def test_missing_partners(self, folder):
        cases, findings = find_pairs(folder("Images/L1.nrrd", "GoldStandard/L442_GS.nrrd"))
        assert cases == []
        assert _codes(findings) == [
            ("unpaired-image", "Images/L1.nrrd"),
            ("unpaired-mask", "GoldStandard/L442_GS.nrrd"),
        ]
        assert str(findings[1]) == (
            "GoldStandard/L442_GS.nrrd: has no image: no .nrrd file in Images begins with L442. "
            "Add the image, or take this file out."
        )

    def test_one_id_twice(self, folder):
        _, findings = find_pairs(folder("Images/L1_a.nrrd", "Images/l1_b.nrrd", "GoldStandard/L1.nrrd"))
        assert _codes(findings) == [("duplicate-id", "Images/L1_a.nrrd")]
        assert "l1_b.nrrd" in findings[0].problem

    def test_no_id(self, folder):
        _, findings = find_pairs(folder("Images/femur.nrrd"))
        assert _codes(findings) == [("no-id", "Images/femur.nrrd")]
        assert findings[0].severity is Severity.ERROR

    def test_an_id_that_is_no_file_name(self, folder):
        _, findings = find_pairs(folder("Images/a b.nrrd"), id_pattern=r"\w \w")
        assert _codes(findings) == [("unsafe-id", "Images/a b.nrrd")]

    def test_what_is_left_out_is_said(self, folder):
        source = folder("Images/L1.nrrd", "Images/L2.nii.gz", "Images/notes.txt", "GoldStandard/L1.nrrd")
        cases, findings = find_pairs(source)
        assert len(cases) == 1
        assert [(f.code, f.severity) for f in findings] == [
            ("other-format", Severity.WARNING),
            ("stray-file", Severity.NOTE),
        ]


class TestRefused:
    def test_no_source(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            find_pairs(tmp_path / "nowhere")

    def test_no_masks_folder(self, tmp_path):
        (tmp_path / "Images").mkdir()
        with pytest.raises(InputError, match="has no folder GoldStandard, only Images"):
            find_pairs(tmp_path)

    def test_nothing_there(self, folder):
        with pytest.raises(InputError, match=r"no \.nrrd file in Images and GoldStandard"):
            find_pairs(folder())

    def test_no_pattern(self, folder):
        with pytest.raises(InputError, match="is no regular expression"):
            find_pairs(folder(), id_pattern="(")
