"""RTSTRUCT as a mask: ROIs by name, on the grid in the file or on that of the CT beside it."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.dicom_output import write_dicom
from nnunet_femur.imaging.femur_mask import read_femur
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.reading import read_ct, read_mask, read_mask_header
from tests.dicom_writing import RT_STRUCTURE_SET, change, dataset, save, write_ct
from tests.refusing import refused

STORED_ZYX = np.random.default_rng(0).integers(100, 2500, (6, 9, 7)).astype(np.int16)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros(STORED_ZYX.shape, np.uint8)
    labels[1:5, 2:6, 1:4] = 1
    labels[2:4, 4, 2] = 0
    labels[2:5, 2:8, 5:] = 2
    return labels


@pytest.fixture
def ct(tmp_path):
    return write_ct(tmp_path / "ct", STORED_ZYX)


@pytest.fixture
def file(ct, labels, tmp_path):
    path = tmp_path / "mask" / "femur.rtstruct.dcm"
    path.parent.mkdir()
    write_dicom(image_of(labels, read_ct(ct).header.geometry), path, ct)
    return path


def _without_grid(path) -> None:
    """Remove the grid, which few programs write."""
    made = pydicom.dcmread(path)
    for roi in made.ROIContourSequence:
        del roi.SourcePixelPlanesCharacteristicsSequence
    made.save_as(path)


def _edit(path, edit) -> None:
    """Change the contours of the first ROI."""
    made = pydicom.dcmread(path)
    edit(made.ROIContourSequence[0])
    made.save_as(path)


class TestStructures:
    def test_by_name_on_the_grid_of_the_ct(self, file, ct, labels):
        volume = read_mask(file)
        assert volume.header.geometry == read_mask_header(file).geometry
        assert not volume.header.geometry.differences(read_ct(ct).header.geometry)
        assert [(each.name, each.value, each.layer) for each in volume.header.segments] == [
            ("Left femur", 1, 0),
            ("Right femur", 2, 0),
        ]
        np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), labels)
        assert [each.code for each in volume.header.findings] == ["contours-filled"]

    def test_are_femurs(self, file, labels):
        np.testing.assert_array_equal(read_femur(file).voxels_zyx, labels > 0)
        np.testing.assert_array_equal(read_femur(file, segments=["Left femur"]).voxels_zyx, labels == 1)

    def test_that_overlap_get_layers(self, file, labels):
        made = pydicom.dcmread(file)
        made.ROIContourSequence[1].ContourSequence = made.ROIContourSequence[0].ContourSequence
        made.save_as(file)
        volume = read_mask(file)
        assert volume.image.GetNumberOfComponentsPerPixel() == 2
        for segment in volume.header.segments:
            there = sitk.GetArrayFromImage(volume.image)[..., segment.layer] == segment.value
            np.testing.assert_array_equal(there, labels == 1)

    def test_take_the_grid_of_the_ct_beside_them(self, file, ct, labels):
        _without_grid(file)
        with refused("dicom-attribute", "CT"):
            read_mask(file)
        given = read_mask(file, ct=ct)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(given.image), labels)
        file.rename(ct / "RS1.dcm")
        volume = read_mask(ct)
        assert volume.header.geometry == read_ct(ct).header.geometry
        np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), labels)
        assert [each.code for each in volume.header.findings] == ["dicom-left-out", "contours-filled"]

    def test_draw_cavities_as_contours_within_contours(self, file, labels):
        """The square of 4 x 3 voxels in the second slice gets a cavity of one voxel, without a keyhole."""

        def edit(roi):
            x, y, z = -10 + 20 * 2, 20.5 + 21 * 3, 65
            hole = pydicom.Dataset()
            hole.ContourGeometricType, hole.NumberOfContourPoints = "CLOSED_PLANAR", 4
            hole.ContourData = [x - 9, y - 9, z, x + 9, y - 9, z, x + 9, y + 9, z, x - 9, y + 9, z]
            roi.ContourSequence.append(hole)

        _edit(file, edit)
        labels[1, 3, 2] = 0
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_mask(file).image), labels)

    def test_through_the_centres_of_voxels_contain_these(self, file, labels):
        """As rt-utils draws them: a square of 5 x 5 voxels, a cavity of one voxel within it, and a single voxel."""

        def loop(*points_xy):
            contour = pydicom.Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points_xy)
            contour.ContourData = [each for x, y in points_xy for each in (-10 + 20 * x, 20.5 + 21 * y, 65)]
            return contour

        def edit(roi):
            square, cavity = ((1, 2), (5, 2), (5, 6), (1, 6)), ((2, 4), (3, 3), (4, 4), (3, 5))
            roi.ContourSequence = [loop(*square), loop(*cavity), loop((0, 8))]

        _edit(file, edit)
        expected = np.zeros_like(labels)
        expected[1, 2:7, 1:6] = 1
        expected[1, 4, 3] = 0
        expected[1, 8, 0] = 1
        np.testing.assert_array_equal(read_femur(file, segments=["Left femur"]).voxels_zyx, expected > 0)

    def test_ignore_points(self, file, labels):
        def edit(roi):
            point = pydicom.Dataset()
            point.ContourGeometricType, point.NumberOfContourPoints, point.ContourData = "POINT", 1, [0, 0, 7.5]
            roi.ContourSequence.append(point)

        _edit(file, edit)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_mask(file).image), labels)


class TestRefused:
    def test_without_contours(self, tmp_path):
        with refused("not-mask"):
            read_mask(save(dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), tmp_path / "rs"))

    def test_two_files(self, file):
        (file.parent / "second.dcm").write_bytes(file.read_bytes())
        with refused("several-series", "second.dcm"):
            read_mask(file.parent)

    def test_contours_between_slices(self, file):
        def edit(roi):
            for contour in roi.ContourSequence:
                contour.ContourData = [
                    float(each) + (30 if at % 3 == 2 else 0) for at, each in enumerate(contour.ContourData)
                ]

        _edit(file, edit)
        with refused("slices-uneven"):
            read_mask(file)

    def test_contours_outside_the_ct(self, file):
        def edit(roi):
            roi.ContourSequence[0].ContourData = [0, 0, 6000, 9, 0, 6000, 9, 9, 6000]

        _edit(file, edit)
        with refused("grids-apart"):
            read_mask(file)

    def test_contours_in_every_second_slice(self, file):
        def edit(roi):
            base = [0, 60, None, 50, 60, None, 50, 120, None]
            roi.ContourSequence = roi.ContourSequence[:3]
            for contour, z_mm in zip(roi.ContourSequence, (5, 125, 245), strict=True):
                contour.ContourData = [z_mm if each is None else each for each in base]

        _edit(file, edit)
        with refused("slice-gap", "2"):
            read_mask(file)

    @pytest.mark.parametrize("data", [[], [1, 2], [1, 2, 3, 4]])
    def test_invalid_contours(self, file, data):
        _edit(file, lambda roi: setattr(roi.ContourSequence[0], "ContourData", data))
        with refused("dicom-attribute"):
            read_mask(file)

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("Rows", 0, "dicom-attribute"),
            ("PixelSpacing", None, "dicom-attribute"),
            ("SpacingBetweenSlices", 0, "bad-geometry"),
            ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "bad-geometry"),
            ("NumberOfFrames", 100_000, "too-large"),
        ],
    )
    def test_an_invalid_grid(self, file, name, value, code):
        made = pydicom.dcmread(file)
        for roi in made.ROIContourSequence:
            (planes,) = roi.SourcePixelPlanesCharacteristicsSequence
            if value is None:
                del planes[name]
            else:
                setattr(planes, name, value)
            if code == "too-large":
                planes.Rows = planes.Columns = 65_535
        made.save_as(file)
        with refused(code):
            read_mask(file)

    def test_a_patient_is_not_named(self, file):
        change(file, StructureSetROISequence=[])
        with refused("not-mask") as caught:
            read_mask(file)
        assert "Rossi" not in str(caught.value)
