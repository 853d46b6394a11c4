"""Pairing by the id at the start of a name, and names of different exams."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.layouts.pairs import differing_exams, find_pairs
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.findings import Severity
from tests.dicom_writing import enhanced_ct, save
from tests.refusing import refused


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


def _find(source: Path, **options):
    found = find_pairs(source, ConversionOptions(**options))
    assert (found.root, found.layout) == (source, "pairs")
    return list(found.cases), list(found.findings)


def _codes(findings):
    return [(finding.code, finding.file) for finding in findings]


class TestPairs:
    def test_an_id_is_a_letter_and_a_number(self, folder):
        cases, findings = _find(folder("Images/L442_CT.nrrd", "GoldStandard/L442_GS.nrrd"))
        assert cases == [Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442_GS.nrrd"),))]
        assert findings == []

    def test_case_of_letters_does_not_matter(self, folder):
        source = folder("images/r7.NRRD", "GOLDSTANDARD/R7 manual.Nrrd")
        for name in ("Images", "GoldStandard"):
            (source / name).rmdir()
        cases, findings = _find(source)
        assert [(case.id, case.side, case.image.as_posix()) for case in cases] == [("R7", "right", "images/r7.NRRD")]
        assert findings == []

    def test_left_and_right_are_one_patient_with_and_without_zeros(self, folder):
        cases, _ = _find(folder(*(f"{f}/{c}_x.nrrd" for f in ("Images", "GoldStandard") for c in ("L042", "R42"))))
        assert [(case.id, case.patient, case.side) for case in cases] == [
            ("L042", "42", "left"),
            ("R42", "42", "right"),
        ]

    def test_another_letter_is_no_side(self, folder):
        cases, _ = _find(folder("Images/P3.nrrd", "GoldStandard/P3.nrrd"))
        assert (cases[0].id, cases[0].patient, cases[0].side) == ("P3", "3", "unknown")

    def test_own_folders_and_pattern(self, folder):
        source = folder("ct/case-12_a.nrrd", "seg/case-12_b.nrrd")
        cases, _ = _find(source, images_folder="ct", masks_folder="seg", id_pattern=r"case-\d+")
        assert [(case.id, case.patient, case.side) for case in cases] == [("CASE-12", "CASE-12", "unknown")]

    def test_hidden_files_are_ignored(self, folder):
        source = folder("Images/L1.nrrd", "Images/.DS_Store", "Images/._L1.nrrd", "GoldStandard/L1.nrrd", "README.txt")
        assert _find(source)[1] == []


class TestFindings:
    def test_missing_partners(self, folder):
        cases, findings = _find(folder("Images/L1.nrrd", "GoldStandard/L442_GS.nrrd"))
        assert cases == []
        assert _codes(findings) == [
            ("unpaired-image", "Images/L1.nrrd"),
            ("unpaired-mask", "GoldStandard/L442_GS.nrrd"),
        ]
        assert "L442" in findings[1].problem
        assert findings[1].remedy

    @pytest.mark.parametrize("name", ["L442_CT.png", "L442_CT.nrrd.gz", "l442.zip"])
    def test_a_file_that_is_no_volume_in_the_place_of_one(self, folder, name):
        _, findings = _find(
            folder("Images/L1.nrrd", f"Images/{name}", "GoldStandard/L1.nrrd", "GoldStandard/L442.nrrd")
        )
        assert ("unpaired-mask", "GoldStandard/L442.nrrd") in _codes(findings)
        assert name in next(found.problem for found in findings if found.code == "unpaired-mask")

    def test_one_id_twice(self, folder):
        _, findings = _find(folder("Images/L1_a.nrrd", "Images/l1_b.nrrd", "GoldStandard/L1.nrrd"))
        assert _codes(findings) == [("duplicate-id", "Images/L1_a.nrrd")]
        assert "l1_b.nrrd" in findings[0].problem

    def test_no_id(self, folder):
        _, findings = _find(folder("Images/femur.nrrd"))
        assert _codes(findings) == [("no-id", "Images/femur.nrrd")]
        assert findings[0].severity is Severity.ERROR

    def test_ids_that_are_no_file_names_stay_apart(self, folder):
        names = ("a b", "a.b", "A_B")
        source = folder(*(f"{place}/{name}.nrrd" for place in ("Images", "GoldStandard") for name in names))
        cases, findings = _find(source, id_pattern=r"\w\W\w|\w_\w")
        assert len({case.id for case in cases}) == 3
        assert all(re.fullmatch("A_B(-[0-9A-F]{8})?", case.id) for case in cases)
        assert _codes(findings) == [
            ("id-changed", f"{place}/{name}.nrrd") for place in ("Images", "GoldStandard") for name in names[:2]
        ]

    def test_files_that_are_left_out_are_reported(self, folder):
        source = folder("Images/L1.nrrd", "Images/notes.txt", "Images/more/x.txt", "GoldStandard/L1.nrrd")
        cases, findings = _find(source)
        assert len(cases) == 1
        assert _codes(findings) == [("stray-file", "Images/more"), ("stray-file", "Images/notes.txt")]


class TestFormats:
    @pytest.mark.parametrize("image", ["L1_a.nii", "l1.NII.GZ", "L1.mha", "L1.MHD", "L1.nhdr", "L1.seg.nrrd"])
    def test_every_format_in_any_case_of_letters(self, folder, image):
        (case,) = _find(folder(f"Images/{image}", "GoldStandard/L1_GS.Seg.NRRD"))[0]
        assert (case.id, case.image.name) == ("L1", image)

    @pytest.mark.parametrize(
        ("header", "data", "text"),
        [
            ("L1.mhd", "L1.raw", "ElementDataFile = L1.raw"),
            ("L1.nhdr", "L1.raw.gz", "data file: L1.raw.gz"),
            ("L1.mhd", "slice001.raw", "ElementDataFile = slice%03d.raw 1 1 1"),
        ],
    )
    def test_data_files_are_part_of_their_header(self, folder, header, data, text):
        source = folder(f"Images/{header}", f"Images/{data}", "GoldStandard/L1.nrrd")
        (source / "Images" / header).write_text(text)
        cases, findings = _find(source)
        assert [case.image.name for case in cases] == [header]
        assert findings == []

    def test_a_folder_of_slices(self, folder, write_slices):
        source = folder("GoldStandard/L1.nrrd")
        write_slices(source / "Images/L1 thin", np.zeros((2, 3, 4), np.int16))
        (case,) = _find(source)[0]
        assert (case.id, case.image) == ("L1", Path("Images/L1 thin"))

    def test_dicom_files_and_exports(self, folder, write_slices):
        source = folder()
        write_slices(source / "Images/L1/ST1/SE1", np.zeros((2, 3, 4), np.int16))
        save(enhanced_ct(np.zeros((2, 3, 4), np.int16), range(2)), source / "GoldStandard/L1_GS.dcm")
        cases, findings = _find(source)
        assert [(case.image, case.masks) for case in cases] == [(Path("Images/L1"), (Path("GoldStandard/L1_GS.dcm"),))]
        assert findings == []

    def test_a_volume_beside_slices(self, folder, write_slices):
        source = folder("GoldStandard/L1.nrrd")
        write_slices(source / "Images/L1", np.zeros((2, 3, 4), np.int16))
        (source / "Images/L1/other.nrrd").write_text("x")
        cases, findings = _find(source)
        assert len(cases) == 1
        assert [(found.code, found.file) for found in findings] == [("stray-file", "Images/L1/other.nrrd")]

    def test_slices_without_a_folder(self, folder, write_slices):
        source = folder("Images/L1.nrrd", "GoldStandard/L1.nrrd")
        write_slices(source / "Images", np.zeros((3, 3, 4), np.int16))
        findings = _find(source)[1]
        assert [(found.code, found.file) for found in findings] == [("no-id", "Images/slice000.dcm")]


class TestRefused:
    def test_no_masks_folder(self, tmp_path):
        (tmp_path / "Images").mkdir()
        with refused("not-found", tmp_path, "GoldStandard", "--masks-folder"):
            _find(tmp_path)

    def test_nothing_there(self, folder):
        with refused("no-cases", "Images", "GoldStandard"):
            _find(folder())


def _differ(image: str, mask: str) -> bool:
    others = {"L1": "L1_CT.nrrd", "L2": "L2_CT.nrrd"}
    images = {**{case: Path(name) for case, name in others.items()}, "L442": Path(image)}
    masks = {**{case: Path(name) for case, name in others.items()}, "L442": Path(mask)}
    found = differing_exams(images, masks, {case: case for case in images})
    assert set(found) <= {"L442"}
    return bool(found)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("L442-2023_CT.nrrd", "L442-2019_GS.nrrd"),
        ("L442_20230105.nrrd", "L442_2023-01-06_mask.nrrd"),
        ("L442_series3.nrrd", "L442_series4.seg.nrrd"),
        ("L442_preop_CT.nrrd", "L442_postop_GS.nrrd"),
        ("L442_left.nrrd", "L442_R_GS.nrrd"),
    ],
)
def test_another_date_number_time_or_side(image, mask):
    assert _differ(image, mask)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("L442_CT.nrrd", "L442_GS.nrrd"),
        ("L442-2023_CT.nrrd", "L442_GS.nrrd"),
        ("L442-2023_CT.nrrd", "L442-2023-final_GS.seg.nrrd"),
        ("L442_03_CT.nrrd", "l442_3_GS.nrrd"),
        ("L442_0000.nrrd", "L442_1mm_v2.nrrd"),
        ("L442_pre.nrrd", "L442_before_mask.nii.gz"),
        ("L442_Rossi.nrrd", "L442_Bianchi.nrrd"),
        ("L442_512x512.nrrd", "L442_256x256.nrrd"),
    ],
)
def test_the_same_exam(image, mask):
    assert not _differ(image, mask)


def test_parts_that_all_names_have_in_common_are_ignored():
    images = {case: Path(f"{case}_series1.nrrd") for case in ("L1", "L2")}
    masks = {case: Path(f"{case}_series2.nrrd") for case in ("L1", "L2")}
    assert differing_exams(images, masks, {case: case for case in images}) == {}
