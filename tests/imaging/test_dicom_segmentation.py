"""DICOM SEG as a mask, written by highdicom and read the same way by it."""

from __future__ import annotations

from copy import deepcopy

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.data import get_testdata_file
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.reading import read_ct, read_mask, read_mask_header
from tests.dicom_writing import RT_STRUCTURE_SET, change, dataset, save, write_ct

STORED_ZYX = np.random.default_rng(0).integers(100, 2500, (6, 9, 7)).astype(np.int16)


@pytest.fixture
def series(tmp_path):
    return write_ct(
        tmp_path / "ct",
        STORED_ZYX,
        PatientBirthDate="",
        PatientSex="",
        AccessionNumber="",
        StudyDate="",
        StudyTime="",
        StudyID="",
        ReferringPhysicianName="",
        InstanceNumber=lambda index: index + 1,
        SeriesNumber=1,
        SliceThickness=60,
    )


def _describe(number: int, label: str) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Bone,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )


def _segmentation(series, mask, labels, *, kind=SegmentationTypeValues.BINARY, **options) -> Segmentation:
    images = [pydicom.dcmread(file) for file in sorted(series.iterdir())]
    return Segmentation(
        source_images=images,
        pixel_array=mask,
        segmentation_type=kind,
        segment_descriptions=[_describe(number, label) for number, label in enumerate(labels, 1)],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        **options,
    )


def _two(overlap: bool = True) -> np.ndarray:
    """Two segments as the last axis: the femur leaves out the first and the fourth slice."""
    mask = np.zeros((6, 9, 7, 2), np.uint8)
    mask[[1, 2, 4], 2:6, 1:5, 0] = 1
    mask[3:5, 4 if overlap else 7 : 9, 3:, 1] = 1
    return mask


def _of(volume, name: str) -> np.ndarray:
    segment = next(each for each in volume.header.segments if each.name == name)
    values = sitk.GetArrayFromImage(volume.image)
    values = values if values.ndim == 4 else values[..., None]
    return values[..., segment.layer] == segment.value


def _on_the_ct(volume, mask: np.ndarray) -> np.ndarray:
    """Put voxels into the CT by the positions that SimpleITK gives."""
    ct = np.zeros((6, 9, 7), bool)
    for index_zyx in np.argwhere(mask):
        place = volume.image.TransformIndexToPhysicalPoint([int(each) for each in index_zyx[::-1]])
        x, y, z = (np.array(place) - (-10.0, 20.5, 5.0)) / (20.0, 21.0, 60.0)
        assert np.allclose([x, y, z], np.rint([x, y, z]), atol=1e-4)
        ct[round(z), round(y), round(x)] = True
    return ct


def _refused(path) -> VolumeError:
    with pytest.raises(VolumeError) as caught:
        read_mask(path)
    assert "Rossi" not in str(caught.value)
    return caught.value


class TestBinary:
    @pytest.mark.parametrize("overlap", [True, False])
    @pytest.mark.parametrize("omit_empty_frames", [True, False])
    def test_segments_by_name_and_frames_by_position(self, series, tmp_path, overlap, omit_empty_frames):
        mask = _two(overlap)
        made = _segmentation(series, mask, ["Femur", "Pelvis"], omit_empty_frames=omit_empty_frames)
        volume = read_mask(save(made, tmp_path / "mask.dcm"))
        assert [each.name for each in volume.header.segments] == ["Femur", "Pelvis"]
        assert volume.image.GetNumberOfComponentsPerPixel() == volume.header.components == (2 if overlap else 1)
        for index, name in enumerate(("Femur", "Pelvis")):
            np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, name)), mask[..., index] > 0)

    def test_the_same_as_highdicom(self, series, tmp_path):
        made = _segmentation(series, _two(), ["Femur", "Pelvis"])
        path = save(made, tmp_path / "mask.dcm")
        volume = read_mask(path)
        theirs = highdicom.seg.segread(path).get_volume(allow_missing_positions=True)
        # highdicom's first axis runs against ours where its normal does.
        for index, name in enumerate(("Femur", "Pelvis")):
            expected = np.zeros((6, 9, 7), bool)
            for place in np.argwhere(theirs.array[..., index]):
                mm = theirs.affine @ [*place, 1]
                x, y, z = np.rint((mm[:3] - (-10.0, 20.5, 5.0)) / (20.0, 21.0, 60.0)).astype(int)
                expected[z, y, x] = True
            np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, name)), expected)

    def test_header_alone(self, series, tmp_path):
        path = save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask.dcm")
        header = read_mask_header(path)
        assert [each.name for each in header.segments] == ["Femur", "Pelvis"]
        assert header.geometry == Geometry.of(read_mask(path).image)
        assert header.geometry.size_xyz == (7, 9, 4)

    def test_frames_in_another_order(self, series, tmp_path):
        mask = _two()
        made = _segmentation(series, mask, ["Femur", "Pelvis"])
        frames = made.pixel_array
        order = np.random.default_rng(3).permutation(len(frames))
        groups = deepcopy(made.PerFrameFunctionalGroupsSequence)
        made.PixelData = pydicom.pixels.pack_bits(frames[order].ravel())
        made.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
        volume = read_mask(save(made, tmp_path / "mask.dcm"))
        for index, name in enumerate(("Femur", "Pelvis")):
            np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, name)), mask[..., index] > 0)

    def test_every_second_slice(self, series, tmp_path):
        mask = np.zeros((6, 9, 7), np.uint8)
        mask[::2, 2:6, 1:5] = 1
        volume = read_mask(save(_segmentation(series, mask, ["Femur"]), tmp_path / "mask.dcm"))
        np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, "Femur")), mask > 0)

    @pytest.mark.parametrize("stated_mm", [None, 1.0, 40.0])
    def test_positions_take_precedence_over_a_distance_that_does_not_fit(self, series, tmp_path, stated_mm):
        mask = _two()
        made = _segmentation(series, mask, ["Femur", "Pelvis"])
        measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SliceThickness = 1
        if stated_mm is None:
            del measures.SpacingBetweenSlices
        else:
            measures.SpacingBetweenSlices = stated_mm
        volume = read_mask(save(made, tmp_path / "mask.dcm"))
        assert volume.header.geometry.spacing_mm_xyz[2] == pytest.approx(60)
        np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, "Femur")), mask[..., 0] > 0)

    def test_one_frame(self, series, tmp_path):
        mask = np.zeros((6, 9, 7), np.uint8)
        mask[3, 2:6, 1:5] = 1
        volume = read_mask(save(_segmentation(series, mask, ["Femur"]), tmp_path / "mask.dcm"))
        assert volume.image.GetSize() == (7, 9, 1)
        np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, "Femur")), mask > 0)

    def test_big_endian(self, tmp_path):
        masks = []
        for name in ("liver_1frame.dcm", "liver_expb_1frame.dcm"):
            made = pydicom.dcmread(get_testdata_file(name))
            # One frame was kept of three, and the positions of all.
            made.PerFrameFunctionalGroupsSequence = made.PerFrameFunctionalGroupsSequence[:1]
            made.save_as(tmp_path / name)
            masks.append(sitk.GetArrayFromImage(read_mask(tmp_path / name).image))
        np.testing.assert_array_equal(*masks)
        assert masks[0].sum() == pydicom.dcmread(get_testdata_file("liver_1frame.dcm")).pixel_array.sum()


class TestOtherKinds:
    def test_fractional(self, series, tmp_path):
        part = np.zeros((6, 9, 7), np.float32)
        part[1:4, 2:6, 1:5] = np.linspace(0, 1, 16).reshape(4, 4)
        kind = SegmentationTypeValues.FRACTIONAL
        made = _segmentation(series, part, ["Femur"], kind=kind, max_fractional_value=200)
        volume = read_mask(save(made, tmp_path / "mask.dcm"))
        np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, "Femur")), part >= 0.5)
        assert [found.code for found in volume.header.findings] == ["seg-fractional"]

    def test_labelmap(self, series, tmp_path):
        mask = np.zeros((6, 9, 7), np.uint8)
        mask[1:4, 2:6, 1:5] = 1
        mask[1:5, 6:8, 1:5] = 2
        made = _segmentation(series, mask, ["Femur", "Pelvis"], kind=SegmentationTypeValues.LABELMAP)
        volume = read_mask(save(made, tmp_path / "mask.dcm"))
        assert [(each.name, each.value, each.layer) for each in volume.header.segments] == [
            ("Femur", 1, 0),
            ("Pelvis", 2, 0),
        ]
        for value, name in ((1, "Femur"), (2, "Pelvis")):
            np.testing.assert_array_equal(_on_the_ct(volume, _of(volume, name)), mask == value)

    def test_incomplete_by_the_standard(self, series, tmp_path):
        """Many programs leave out attributes that highdicom requires."""
        path = save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask.dcm")
        made = pydicom.dcmread(path)
        for item in made.SegmentSequence:
            del item.SegmentedPropertyCategoryCodeSequence
            del item.SegmentAlgorithmType
        del made.DimensionIndexSequence
        made.save_as(path)
        with pytest.raises(AttributeError):
            highdicom.seg.segread(path)
        assert _of(read_mask(path), "Femur").sum() == _two()[..., 0].sum()


class TestFolders:
    def test_beside_its_series(self, series, tmp_path):
        save(_segmentation(series, _two(), ["Femur", "Pelvis"]), series / "seg")
        volume = read_mask(series)
        assert _of(volume, "Femur").sum() == _two()[..., 0].sum()
        assert [found.code for found in volume.header.findings] == ["dicom-left-out"]
        ct = read_ct(series)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ct.image), STORED_ZYX - 1024)
        assert [found.code for found in ct.header.findings] == ["dicom-left-out"]

    def test_alone_in_a_folder(self, series, tmp_path):
        save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask" / "SE1" / "1")
        volume = read_mask(tmp_path / "mask")
        assert volume.header.findings == ()
        assert _of(volume, "Femur").sum() == _two()[..., 0].sum()

    def test_two_segmentations_in_one_folder(self, series, tmp_path):
        for name in ("a", "b"):
            save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask" / name)
        assert _refused(tmp_path / "mask").code == "several-series"

    def test_it_is_not_a_ct(self, series, tmp_path):
        path = save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask.dcm")
        with pytest.raises(VolumeError) as caught:
            read_ct(path)
        assert caught.value.code == "not-ct"

    def test_contours_are_not_a_mask(self, tmp_path):
        error = _refused(save(dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), tmp_path / "rs"))
        assert error.code == "not-mask"


class TestRefused:
    @pytest.fixture
    def path(self, series, tmp_path):
        return save(_segmentation(series, _two(), ["Femur", "Pelvis"]), tmp_path / "mask.dcm")

    @pytest.mark.parametrize("name", ["SegmentationType", "SegmentSequence", "PerFrameFunctionalGroupsSequence"])
    def test_missing_attributes(self, path, name):
        change(path, **{name: None})
        assert _refused(path).code == "dicom-attribute"

    @pytest.mark.parametrize("name", ["PlanePositionSequence", "SegmentIdentificationSequence"])
    def test_a_frame_without_position_or_segment(self, path, name):
        made = pydicom.dcmread(path)
        delattr(made.PerFrameFunctionalGroupsSequence[1], name)
        made.save_as(path)
        assert _refused(path).code == "dicom-attribute"

    @pytest.mark.parametrize("z_mm", [90.0, 75.0, 1e7])
    def test_irregular_positions(self, path, z_mm):
        made = pydicom.dcmread(path)
        made.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient[2] = z_mm
        made.save_as(path)
        assert _refused(path).code in ("slices-uneven", "dicom-attribute")

    def test_two_frames_of_a_segment_at_the_same_position(self, path):
        made = pydicom.dcmread(path)
        groups = made.PerFrameFunctionalGroupsSequence
        groups[0].PlanePositionSequence = groups[1].PlanePositionSequence
        made.save_as(path)
        assert _refused(path).code == "slices-uneven"

    def test_truncated(self, path):
        path.write_bytes(path.read_bytes()[:-4])
        assert _refused(path).code == "unreadable"
