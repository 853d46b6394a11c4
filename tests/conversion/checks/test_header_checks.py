"""Checks of the headers of a pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.findings import Severity
from tests.refusing import names

CASE = Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442_GS.nrrd"),))


def _findings(hospital):
    return [(finding.code, finding.severity.value) for finding in check_headers(hospital.folder, CASE)]


@pytest.fixture
def pair(hospital):
    return hospital.add("L442")


def _rewrite_mask(hospital, **changes):
    hospital.write("GoldStandard/L442_GS.nrrd", changes.pop("array", hospital.mask()), **changes)


class TestGrids:
    def test_equal(self, pair):
        assert _findings(pair) == []

    @pytest.mark.parametrize("shift_mm", [1e-4, -9e-4])
    def test_a_rounding_error_is_snapped(self, pair, shift_mm):
        x, y, z = pair.origin_mm_xyz
        _rewrite_mask(pair, origin=(x + shift_mm, y, z))
        assert _findings(pair) == [("grid-snapped", "note")]

    def test_arithmetic_is_not_mentioned(self, pair):
        _rewrite_mask(pair, spacing=(20 + 1e-8, 21, 60))
        assert _findings(pair) == []

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"origin": (-10.21, 20.5, -300.25)}, "mask-resampled"),
            ({"spacing": (20, 21, 66)}, "mask-resampled"),
            ({"array": np.ones((4, 6, 7), np.uint8)}, "mask-cropped"),
            ({"direction": (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)}, "mask-resampled"),
            ({"origin": (0, 0, 500)}, "grids-apart"),
            ({"direction": (-1, 0, 0, 0, 1, 0, 0, 0, -1), "origin": (-31, 20.5, -300)}, "grids-apart"),
        ],
        ids=["origin", "spacing", "size", "rotation", "elsewhere", "flip"],
    )
    def test_another_grid_is_named(self, pair, changes, code):
        _rewrite_mask(pair, **changes)
        findings = check_headers(pair.folder, CASE, ConversionOptions(trust="headers"))
        assert (findings[-1].code, findings[-1].file) == (code, "GoldStandard/L442_GS.nrrd")

    @pytest.mark.parametrize(
        "changes",
        [
            {"origin": (-10.21, 20.5, -300.25)},
            {"origin": (0, 20.5, -300.25)},
            {"spacing": (1, 1, 1), "origin": (0, 0, 0)},
        ],
        ids=["a-hundredth-of-a-voxel", "half-a-voxel", "saved-without-geometry"],
    )
    def test_as_many_voxels_on_another_grid_are_for_the_user_to_settle(self, pair, changes):
        _rewrite_mask(pair, **changes)
        assert _findings(pair) == [("mask-geometry", "error")]
        trusted = check_headers(pair.folder, CASE, ConversionOptions(trust="voxels"))
        assert [finding.code for finding in trusted] == ["mask-trusted"]

    def test_a_spacing_whose_error_adds_up_is_not_snapped(self, pair):
        """Each is below the tolerance of spacings, together they are a voxel at the far end."""
        for name, spacing in (("Images/L442_CT.nrrd", 0.1), ("GoldStandard/L442_GS.nrrd", 0.1009)):
            pair.write(name, np.ones((12, 12, 120), np.int16), spacing=(spacing, 1, 1))
        assert _findings(pair) == [("mask-geometry", "error")]

    @pytest.mark.parametrize("orientation", ["RAS", "SLA", "PIR"])
    def test_the_same_place_along_other_axes(self, pair, orientation):
        path = pair.folder / "GoldStandard/L442_GS.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), orientation), str(path))
        assert _findings(pair) == [("mask-reordered", "note")]

    def test_oblique_at_45_degrees_where_names_of_axes_are_a_toss_up(self, pair):
        c = np.sqrt(0.5)
        for name, array, tilt in (
            ("Images/L442_CT.nrrd", pair.image(), 1e-9),
            ("GoldStandard/L442_GS.nrrd", pair.mask(), -1e-9),
        ):
            pair.write(name, array, direction=(c + tilt, -c + tilt, 0, c - tilt, c + tilt, 0, 0, 0, 1))
        assert [code for code, _ in _findings(pair)] == ["image-direction"]


class TestUnreadable:
    def test_both_files_are_named(self, pair):
        (pair.folder / CASE.image).write_bytes(b"no volume")
        (pair.folder / CASE.mask).write_bytes(b"")
        findings = check_headers(pair.folder, CASE)
        assert [(f.code, f.file) for f in findings] == [
            ("unreadable", "Images/L442_CT.nrrd"),
            ("unreadable", "GoldStandard/L442_GS.nrrd"),
        ]
        assert all(finding.remedy for finding in findings)

    def test_colour_is_no_volume(self, pair):
        image = sitk.GetImageFromArray(np.zeros((5, 6, 7, 3), np.uint8), isVector=True)
        sitk.WriteImage(image, str(pair.folder / CASE.image))
        (finding,) = check_headers(pair.folder, CASE)
        assert (finding.code, finding.severity) == ("colour", Severity.ERROR)
        assert names(finding.problem, "3 values")


class TestDirection:
    @pytest.mark.parametrize(
        ("orientation", "words"),
        [("LPS", None), ("RAS", "flipped"), ("SLP", "permuted"), ("PIR", "permuted and flipped")],
    )
    def test_words(self, pair, orientation, words):
        for path in (pair.folder / CASE.image, pair.folder / CASE.mask):
            sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), orientation), str(path))
        findings = check_headers(pair.folder, CASE)
        assert [finding.code for finding in findings] == ([] if words is None else ["image-direction"])
        if words is not None:
            assert f"{words};" in findings[0].problem

    def test_the_angle_of_oblique_axes_is_reported(self, pair):
        c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
        for path in (CASE.image, CASE.mask):
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(pair.folder / path)))
            pair.write(path.as_posix(), array, direction=(c, -s, 0, s, c, 0, 0, 0, 1))
        (finding,) = check_headers(pair.folder, CASE)
        assert "12.0 degrees" in finding.problem
