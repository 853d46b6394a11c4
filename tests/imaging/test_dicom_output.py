"""DICOM SEG and RTSTRUCT: the same voxels as the mask, references to the CT, and nothing else of the patient."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from matplotlib.path import Path as Polygon
from pydicom.uid import RLELossless

from nnunet_femur.imaging.dicom_output import write_dicom
from nnunet_femur.imaging.dicom_references import Algorithm
from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.reading import read_ct, read_mask
from nnunet_femur.imaging.segments import side_of
from nnunet_femur.version import __version__
from tests.dicom_standard import problems
from tests.dicom_writing import ORIGIN_MM, PATIENT, SPACING_MM_XYZ, enhanced_ct, save, write_ct
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE_ZYX = (6, 9, 7)
STORED_ZYX = np.random.default_rng(0).integers(100, 2500, SHAPE_ZYX).astype(np.int16)
KINDS = ("seg", "rtstruct")


def _labels() -> np.ndarray:
    """A mask with both sides, cavities, touching corners and single voxels; empty in the first and the last slice."""
    labels = np.random.default_rng(1).choice([0, 1, 2], SHAPE_ZYX, p=[0.4, 0.4, 0.2]).astype(np.uint8)
    labels[2] = 1
    labels[2, 4, 3] = 0
    labels[[0, 5]] = 0
    return labels


def _axial(folder: Path) -> Path:
    return write_ct(folder, STORED_ZYX)


def _upside_down(folder: Path) -> Path:
    """The first file is the uppermost slice."""
    return write_ct(folder, STORED_ZYX, z_mm=lambda index: 305.0 - SPACING_MM_XYZ[2] * index)


def _feet_first_prone(folder: Path) -> Path:
    """Rows lead to the right: the normal of the slices points to the feet."""
    return write_ct(folder, STORED_ZYX, ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])


def _along(folder: Path, row: np.ndarray, column: np.ndarray) -> Path:
    normal = np.cross(row, column)
    return write_ct(
        folder,
        STORED_ZYX,
        ImageOrientationPatient=[f"{each:.12f}" for each in (*row, *column)],
        ImagePositionPatient=lambda index: [f"{each:.9f}" for each in np.array(ORIGIN_MM) + 60.0 * index * normal],
    )


def _coronal(folder: Path) -> Path:
    return _along(folder, np.array([1.0, 0, 0]), np.array([0, 0, -1.0]))


def _oblique(folder: Path) -> Path:
    turn, tilt = np.deg2rad(20), np.deg2rad(35)
    row = np.array([np.cos(turn), np.sin(turn), 0])
    column = np.array([-np.sin(turn) * np.cos(tilt), np.cos(turn) * np.cos(tilt), np.sin(tilt)])
    return _along(folder, row, column)


def _uneven(folder: Path) -> Path:
    """Distances of 57 to 63 mm, which are accepted with a warning."""
    return write_ct(folder, STORED_ZYX, z_mm=lambda index: 5.0 + 60.0 * index + 3.0 * (index % 2))


def _compressed(folder: Path) -> Path:
    for file in write_ct(folder, STORED_ZYX).iterdir():
        made = pydicom.dcmread(file)
        made.compress(RLELossless, generate_instance_uid=False)
        made.save_as(file)
    return folder


def _enhanced(folder: Path) -> Path:
    return save(enhanced_ct(STORED_ZYX, [3, 0, 5, 1, 4, 2]), folder / "enhanced.dcm")


SERIES = (_axial, _upside_down, _feet_first_prone, _coronal, _oblique, _uneven, _compressed, _enhanced)


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return _axial(tmp_path / "ct")


def _write(labels: np.ndarray, ct: Path, kind: str, folder: Path, **options: object) -> Path:
    path = folder / f"femur.{kind}.dcm"
    write_dicom(image_of(labels, read_ct(ct).header.geometry), path, ct, **options)
    return path


def _placed(path: Path, grid: Geometry) -> np.ndarray:
    """The labels that our reader finds, brought onto the CT's grid by SimpleITK."""
    volume = read_mask(path)
    found = np.zeros(grid.shape_zyx, np.uint8)
    values = sitk.GetArrayFromImage(volume.image)
    values = values if values.ndim == 4 else values[..., None]
    blank = image_of(found, grid)
    for segment in volume.header.segments:
        layer = image_of((values[..., segment.layer] == segment.value).astype(np.uint8), Geometry.of(volume.image))
        there = sitk.GetArrayFromImage(sitk.Resample(layer, blank, sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
        found[there] = {"left": 1, "right": 2, "unknown": 3}[side_of(segment)]
    return found


def _filled(path: Path, grid: Geometry) -> np.ndarray:
    """The labels in an RTSTRUCT, by matplotlib: no voxel is in two contours of an ROI."""
    made = pydicom.dcmread(path)
    found = np.zeros(grid.shape_zyx, np.uint8)
    sides = {"Left femur": 1, "Right femur": 2, "Femur": 3}
    of_roi = {each.ROINumber: sides[each.ROIName] for each in made.StructureSetROISequence}
    y, x = np.indices(grid.shape_zyx[1:])
    for roi in made.ROIContourSequence:
        for contour in roi.ContourSequence:
            points = grid.index_of(np.reshape(np.array(contour.ContourData, float), (-1, 3)))
            assert len(points) == contour.NumberOfContourPoints
            corners = [*points[:, :2], points[0, :2]]
            inside = Polygon(corners, closed=True).contains_points(np.column_stack([x.ravel(), y.ravel()]))
            plane = found[round(points[0, 2])]
            assert not plane[inside.reshape(plane.shape)].any()
            plane[inside.reshape(plane.shape)] = of_roi[roi.ReferencedROINumber]
    return found


@pytest.mark.parametrize("series", SERIES, ids=lambda made: made.__name__.strip("_"))
class TestVoxels:
    @pytest.mark.parametrize("kind", KINDS)
    def test_are_those_of_the_mask(self, series: Callable, kind, tmp_path):
        ct, labels = series(tmp_path / "ct"), _labels()
        path = _write(labels, ct, kind, tmp_path)
        np.testing.assert_array_equal(_placed(path, read_ct(ct).header.geometry), labels)

    def test_are_the_same_for_highdicom(self, series: Callable, tmp_path):
        if series is _uneven:
            pytest.skip("highdicom makes volumes of even distances only")
        ct, labels = series(tmp_path / "ct"), _labels()
        grid = read_ct(ct).header.geometry
        volume = highdicom.seg.segread(_write(labels, ct, "seg", tmp_path)).get_volume(combine_segments=True)
        found = np.zeros(grid.shape_zyx, np.uint8)
        for place in np.argwhere(volume.array):
            x, y, z = np.rint(grid.index_of((volume.affine @ [*place, 1])[None, :3])[0]).astype(int)
            found[z, y, x] = volume.array[tuple(place)]
        np.testing.assert_array_equal(found, labels)

    def test_are_the_same_for_matplotlib(self, series: Callable, tmp_path):
        ct, labels = series(tmp_path / "ct"), _labels()
        path = _write(labels, ct, "rtstruct", tmp_path)
        np.testing.assert_array_equal(_filled(path, read_ct(ct).header.geometry), labels)

    def test_each_refer_to_their_slice(self, series: Callable, tmp_path):
        """The slice that a frame or contour names is at its position."""
        ct = series(tmp_path / "ct")
        files = [ct] if ct.is_file() else sorted(ct.iterdir())
        positions = {}
        for file in files:
            made = pydicom.dcmread(file)
            for number, frame in enumerate(made.get("PerFrameFunctionalGroupsSequence", [None]), start=1):
                at = frame.PlanePositionSequence[0] if frame else made
                positions[made.SOPInstanceUID, number if frame else None] = np.array(at.ImagePositionPatient, float)
        normal = np.reshape(read_ct(ct).header.geometry.direction, (3, 3))[:, 2]
        seg = pydicom.dcmread(_write(_labels(), ct, "seg", tmp_path))
        for frame in seg.PerFrameFunctionalGroupsSequence:
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            place = positions[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")]
            assert np.allclose(place, np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float), atol=1e-5)
        drawn = pydicom.dcmread(_write(_labels(), ct, "rtstruct", tmp_path))
        for contour in drawn.ROIContourSequence[0].ContourSequence:
            source = contour.ContourImageSequence[0]
            place = positions[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")]
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
            assert np.allclose((points - place) @ normal, 0, atol=1e-3)


class TestSegments:
    @pytest.mark.parametrize(
        ("values", "labels", "codes"),
        [
            ([1, 2], ["Left femur", "Right femur"], ["7771000", "24028007"]),
            ([2], ["Right femur"], ["24028007"]),
            ([3], ["Femur"], [None]),
            ([1, 3], ["Left femur", "Femur"], ["7771000", None]),
            ([], ["Femur"], [None]),
        ],
    )
    def test_are_one_a_side_with_the_codes_of_the_bone(self, ct, tmp_path, values, labels, codes):
        mask = np.zeros(SHAPE_ZYX, np.uint8)
        for index, value in enumerate(values):
            mask[2:4, 3:6, 1 + 2 * index : 3 + 2 * index] = value
        seg = pydicom.dcmread(_write(mask, ct, "seg", tmp_path))
        drawn = pydicom.dcmread(_write(mask, ct, "rtstruct", tmp_path))
        assert [each.SegmentLabel for each in seg.SegmentSequence] == labels
        assert [each.ROIName for each in drawn.StructureSetROISequence] == labels
        bones = [each.SegmentedPropertyTypeCodeSequence[0] for each in seg.SegmentSequence]
        bones += [each.RTROIIdentificationCodeSequence[0] for each in drawn.RTROIObservationsSequence]
        for bone, code in zip(bones, codes * 2, strict=True):
            assert (bone.CodeValue, bone.CodingSchemeDesignator) == ("71341001", "SCT")
            modifiers = [each.CodeValue for each in bone.get("SegmentedPropertyTypeModifierCodeSequence", [])]
            assert modifiers == ([] if code is None else [code])
        for roi, value in zip(drawn.StructureSetROISequence, values, strict=bool(values)):
            assert float(roi.ROIVolume) == pytest.approx((mask == value).sum() * 20 * 21 * 60 / 1000)

    def test_of_an_empty_mask_are_empty(self, ct, tmp_path):
        for kind in KINDS:
            assert not _placed(_write(np.zeros(SHAPE_ZYX, np.uint8), ct, kind, tmp_path), _grid(ct)).any()

    def test_leave_out_slices_without_femur(self, ct, tmp_path):
        mask = np.zeros(SHAPE_ZYX, np.uint8)
        mask[2, 3, 3] = 1
        assert pydicom.dcmread(_write(mask, ct, "seg", tmp_path)).NumberOfFrames == 1

    def test_name_the_algorithm(self, ct, tmp_path):
        made = {"name": "TotalSegmentator", "version": "2.18", "parameters": {"task": "total"}}
        for kind in KINDS:
            written = pydicom.dcmread(_write(_labels(), ct, kind, tmp_path, algorithm=Algorithm(**made)))
            if kind == "seg":
                found = written.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
            else:
                found = written.StructureSetROISequence[0].ROIDerivationAlgorithmIdentificationSequence[0]
            assert (found.AlgorithmName, found.AlgorithmVersion) == ("TotalSegmentator", "2.18")
            assert found.AlgorithmParameters == "task=total"
            assert (written.ManufacturerModelName, written.SoftwareVersions) == ("nnunet_femur", __version__)


def _grid(ct: Path) -> Geometry:
    return read_ct(ct).header.geometry


@pytest.mark.parametrize("kind", KINDS)
class TestHeader:
    def test_belongs_to_the_study_of_the_ct(self, ct, tmp_path, kind):
        made, of_ct = pydicom.dcmread(_write(_labels(), ct, kind, tmp_path)), pydicom.dcmread(ct / "IM0000")
        for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID"):
            assert made[name].value == of_ct[name].value
        assert made.SeriesInstanceUID != of_ct.SeriesInstanceUID
        slices = {pydicom.dcmread(file).SOPInstanceUID for file in ct.iterdir()}
        if kind == "seg":
            (series,) = made.ReferencedSeriesSequence
            images = series.ReferencedInstanceSequence
        else:
            (frame,) = made.ReferencedFrameOfReferenceSequence
            assert frame.FrameOfReferenceUID == of_ct.FrameOfReferenceUID
            (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
            images = series.ContourImageSequence
        assert series.SeriesInstanceUID == of_ct.SeriesInstanceUID
        assert {each.ReferencedSOPInstanceUID for each in images} == slices

    def test_has_nothing_else_of_the_patient(self, tmp_path, kind):
        texts = ("InstitutionName", "PatientComments", "OtherPatientIDs", "PerformingPhysicianName", "StationName")
        ct = write_ct(tmp_path / "ct", STORED_ZYX, PatientAge="077Y", **dict.fromkeys(texts, PATIENT))
        path = _write(_labels(), ct, kind, tmp_path)
        assert path.read_bytes().count(b"Rossi") == 1
        assert "PatientAge" not in pydicom.dcmread(path)

    def test_of_a_ct_without_patient_is_without_patient(self, tmp_path, kind):
        ct = write_ct(tmp_path / "ct", STORED_ZYX, PatientName=None, PatientID=None)
        made = pydicom.dcmread(_write(_labels(), ct, kind, tmp_path))
        for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
            assert name in made
            assert not made[name].value

    @pytest.mark.parametrize(
        ("characters", "name"),
        [
            ("ISO_IR 100", "Müller^Jörg"),
            ("ISO_IR 192", "Ångström^Łukasz"),
            (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ("GB18030", "Wang^XiaoDong=王^小东"),
        ],
    )
    def test_keeps_names_in_their_character_set(self, tmp_path, kind, characters, name):
        ct = write_ct(tmp_path / "ct", STORED_ZYX, SpecificCharacterSet=characters, PatientName=name)
        made = pydicom.dcmread(_write(_labels(), ct, kind, tmp_path))
        assert str(made.PatientName) == name
        assert made.SpecificCharacterSet == pydicom.dcmread(ct / "IM0000").SpecificCharacterSet

    def test_of_a_ct_that_breaks_the_standard_is_written(self, tmp_path, kind):
        """Highdicom refuses these values in a source image."""
        ct = write_ct(tmp_path / "ct", STORED_ZYX, PatientSex="MALE", StudyTime="12:30", StudyDate="2020-01-02")
        np.testing.assert_array_equal(_placed(_write(_labels(), ct, kind, tmp_path), _grid(ct)), _labels())

    def test_complies_with_the_standard(self, ct, tmp_path, kind):
        made = pydicom.dcmread(_write(_labels(), ct, kind, tmp_path))
        assert problems(made) == {}
        del made.Modality
        assert {tag for tags in problems(made).values() for tag in tags} == {"(0008,0060)"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("series", [_axial, _oblique, _enhanced], ids=lambda made: made.__name__.strip("_"))
def test_dciodvfy_finds_no_error(series: Callable, kind, tmp_path) -> None:
    path = _write(_labels(), series(tmp_path / "ct"), kind, tmp_path)
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False).stderr
    lines = Counter(line.partition(" ")[0] for line in said.splitlines())
    assert lines["Error"] == 0, said
    # Its tables are older than these attributes of a grid, and it wants those of a DICOMDIR in every file.
    grid = [
        f"SourcePixelPlanesCharacteristicsSequence(3006,004a)[1]/{name}" for name in ("NumberOf", "Rows", "Columns")
    ]
    assert not [
        line
        for line in said.splitlines()
        if line.startswith("Warning") and not any(map(line.__contains__, (*grid, "DICOMDIR")))
    ]


class TestRefused:
    @pytest.mark.parametrize("kind", KINDS)
    def test_other_files_than_dicom(self, tmp_path, kind):
        labels = image_of(_labels(), Geometry.of(sitk.GetImageFromArray(_labels())))
        sitk.WriteImage(labels, str(tmp_path / "ct.nrrd"))
        with refused("unsupported", "ct.nrrd"):
            write_dicom(labels, tmp_path / f"a.{kind}.dcm", tmp_path / "ct.nrrd")
        assert [file.name for file in tmp_path.iterdir()] == ["ct.nrrd"]

    def test_another_grid(self, ct, tmp_path):
        with refused("grid-differs", "a.seg.dcm", "ct"):
            write_dicom(sitk.GetImageFromArray(_labels()), tmp_path / "a.seg.dcm", ct)

    def test_another_ending(self, ct, tmp_path):
        with refused("invalid-name", "a.dcm"):
            write_dicom(image_of(_labels(), _grid(ct)), tmp_path / "a.dcm", ct)

    def test_other_values(self, ct, tmp_path):
        with refused("invalid-option", "a.seg.dcm", "0 to 8"):
            write_dicom(image_of(4 * _labels(), _grid(ct)), tmp_path / "a.seg.dcm", ct)
        assert [file.name for file in tmp_path.iterdir()] == ["ct"]

    @pytest.mark.parametrize("frames", [[[0, 1, 2], [3, 4, 5]], [[0], [1], [2], [3], [4], [5]]])
    def test_several_multi_frame_files(self, tmp_path, frames):
        """Frame numbers mean slices of one file."""
        for index, chosen in enumerate(frames):
            save(enhanced_ct(STORED_ZYX, chosen), tmp_path / "ct" / f"{index}.dcm")
        with refused("unsupported", "multi-frame"):
            _write(_labels(), tmp_path / "ct", "seg", tmp_path)

    def test_slices_with_the_same_uid(self, tmp_path):
        ct = write_ct(tmp_path / "ct", STORED_ZYX, SOPInstanceUID="1.2.3.4.5")
        with refused("dicom-attribute", "SOPInstanceUID"):
            _write(_labels(), ct, "rtstruct", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_warnings_do_not_quote_invalid_uids(kind, tmp_path, recwarn) -> None:
    ct = write_ct(tmp_path / "ct", STORED_ZYX, StudyInstanceUID="1.2.abc")
    recwarn.clear()
    _write(_labels(), ct, kind, tmp_path)
    assert not [each for each in recwarn if "abc" in str(each.message)]
