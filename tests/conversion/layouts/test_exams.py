"""Names of a CT and its mask that are of different exams."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_femur.conversion.layouts.pairs import differing_exams


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
