"""DICOM headers that make no sense: reading them ends with voxels or with findings, soon, and nothing is assumed.

As in the fuzz of other formats the files are read in a process of their own.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from nnunet_femur.conversion.cases import Case
from nnunet_femur.errors import FemurError
from nnunet_femur.findings import Finding, Severity
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.sources import Source
from tests.conversion.test_voxels_fuzz import FUZZ, Reader, found_in
from tests.dicom_writing import ENHANCED_CT, ct_slice, dataset, enhanced_ct

pytestmark = pytest.mark.integration

SHORT = settings(FUZZ, max_examples=40)

HU_ZYX = (np.arange(5 * 6 * 7).reshape(5, 6, 7) * 11 % 2400 - 900).astype(np.int16)
STORED_ZYX = (HU_ZYX + 1024).astype(np.int16)

NAMES = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagePositionPatient"),
    *("ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelData"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence", "SegmentationType"),
    *("MaximumFractionalValue", "SegmentNumber", "SegmentLabel", "ReferencedSegmentNumber", "SpacingBetweenSlices"),
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "SliceThickness"),
    *("PixelValueTransformationSequence", "SegmentIdentificationSequence", "SpecificCharacterSet"),
)
TEXTS = (
    *(
        "",
        "0",
        "-1",
        "1e308",
        "nan",
        "inf",
        "1A",
        "x",
        "0\\0",
        "1\\2\\3",
        "1\\0\\0\\0\\1\\0",
        "0\\0\\0\\0\\0\\0",
        "CT",
        "MR",
    ),
    *(
        "LOCALIZER",
        "BINARY",
        "LABELMAP",
        "FRACTIONAL",
        "1.2.840.10008.5.1.4.1.1.2",
        ENHANCED_CT,
        "ä" * 70,
        "ISO_IR 999",
    ),
)
_PACKED = {
    "US": lambda number: struct.pack("<H", number),
    "UL": lambda number: struct.pack("<L", number),
    "FD": lambda number: struct.pack("<d", number),
    "OB": lambda number: bytes([number % 256]),
}
CHANGES = st.one_of(
    st.just(("remove", None)),
    st.just(("empty", None)),
    st.tuples(st.sampled_from(["LO", "DS", "IS", "UI", "CS", "UN"]), st.sampled_from(TEXTS)),
    st.tuples(st.sampled_from(["US", "UL", "FD", "OB"]), st.sampled_from([0, 1, 2, 16, 17, 255, 65535])),
)
SAID = {
    "not-ct",
    "dicom-attribute",
    "modality",
    "rescale-missing",
    "several-series",
    "unreadable",
    "colour",
    "not-3d",
} | {
    *(
        "slices-uneven",
        "slice-gap",
        "dicom-left-out",
        "dicom-joined",
        "seg-fractional",
        "mask-resampled",
        "grids-apart",
    ),
    *("bad-geometry", "segment-missing", "rescale-type"),
}
"""Codes by which something that a header lacks is reported."""


def _answer(folder: Path, case: Case) -> tuple[list[Finding], tuple[str, object]]:
    """Findings of a case in a conversion, and the result of reading its CT for a prediction."""
    return found_in(folder, case), _predicted(folder / case.image)


def _predicted(path: Path) -> tuple[str, object]:
    """Result of reading at predict: the reason that it cannot, or the grid and a sum of the values."""
    try:
        volume = Source("case", path).read()
    except FemurError as error:
        return "error", str(error)
    values = sitk.GetArrayFromImage(volume.image).astype(np.float64)
    return "read", (Geometry.of(volume.image), hashlib.sha256(values.tobytes()).hexdigest())


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("fuzz"), _answer)
    yield reader
    reader.close()


def _segmentation() -> pydicom.Dataset:
    """A DICOM SEG with two segments on the CT's grid, the first slice and the last one without a frame."""
    mask_zyx = np.zeros((3, 6, 7), np.uint8)
    mask_zyx[:, 2:4, 2:5] = 1
    made = enhanced_ct(np.concatenate([mask_zyx, mask_zyx[:2]]), range(5))
    header = dataset("1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", SegmentationType="BINARY")
    for name in ("SOPClassUID", "Modality", "SegmentationType", "file_meta"):
        setattr(made, name, getattr(header, name))
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 1, 1, 0, 0
    packed = np.packbits(np.concatenate([mask_zyx, mask_zyx[:2]]).ravel(), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    made["PixelData"].VR = "OB"
    made.SegmentSequence = Sequence()
    for number, label in ((1, "Femur"), (2, "Tibia")):
        segment = pydicom.Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, label
        made.SegmentSequence.append(segment)
    for index, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        identification = pydicom.Dataset()
        identification.ReferencedSegmentNumber = 1 if index < 3 else 2
        group.SegmentIdentificationSequence = Sequence([identification])
        group.PlanePositionSequence[0].ImagePositionPatient[2] = 65.0 + 60 * (index % 3)
    return made


FILES = {
    "series": lambda: [ct_slice(plane, 5.0 + 60 * index) for index, plane in enumerate(STORED_ZYX)],
    "enhanced": lambda: [enhanced_ct(STORED_ZYX, (3, 0, 4, 1, 2))],
    "segmentation": lambda: [_segmentation()],
}


def _bytes(made: pydicom.Dataset) -> bytes:
    """Write a file as it is: pydicom would refuse what is spoilt."""
    content = io.BytesIO()
    made.preamble = bytes(128)
    pydicom.dcmwrite(content, made, enforce_file_format=False)
    return content.getvalue()


@pytest.fixture(scope="module")
def unspoilt(reader):
    return {kind: _read(reader, kind, [_bytes(made) for made in make()]) for kind, make in FILES.items()}


def _read(reader: Reader, kind: str, contents: list[bytes]) -> tuple[list[Finding], tuple[str, object]]:
    """Write the files as the CT or the mask of a case, and read them."""
    folder = reader.folder / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for index, content in enumerate(contents):
        (folder / f"IM{index}").write_bytes(content)
    other = reader.folder / f"other_of_{kind}.nrrd"
    if not other.exists():
        array = HU_ZYX if kind == "segmentation" else np.zeros(HU_ZYX.shape, np.uint8)
        if kind != "segmentation":
            array[1:4, 2:4, 2:5] = 1
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((20.0, 21.0, 60.0))
        image.SetOrigin((-10.0, 20.5, 5.0))
        sitk.WriteImage(image, str(other))
    files = (Path(other.name), Path(kind)) if kind == "segmentation" else (Path(kind), Path(other.name))
    return reader.read(Case("L1", "1", "left", files[0], (files[1],)))


def _holders(made: pydicom.Dataset) -> list[pydicom.Dataset]:
    """The file itself and every item of its sequences."""
    found = [made]
    for element in made:
        if element.VR == "SQ":
            for item in element.value:
                found += _holders(item)
    return found


def _spoil(made: pydicom.Dataset, name: str, where: int, change: tuple[str, object]) -> bool:
    """Change one attribute where it is; return False if it is nowhere."""
    holders = [each for each in _holders(made) if name in each]
    if not holders:
        return False
    holder, tag = holders[where % len(holders)], tag_for_keyword(name)
    how, value = change
    if how == "remove":
        del holder[tag]
    elif how == "empty":
        sequence = dictionary_VR(tag) == "SQ"
        holder[tag] = DataElement(tag, "SQ", Sequence()) if sequence else DataElement(tag, holder[tag].VR, None)
    else:
        content = value.encode() if isinstance(value, str) else _PACKED[how](value)
        content += b"\0" * (len(content) % 2)
        # As it is read from a file: pydicom itself would not write such a value.
        holder[tag] = RawDataElement(Tag(tag), how, len(content), content, 0, False, True)
    return True


SPOILT = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 7), st.integers(0, 5), CHANGES), min_size=1, max_size=3
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(FILES))
class TestFuzz:
    def test_what_is_not_spoilt_is_read(self, reader, kind, unspoilt):
        findings, predicted = unspoilt[kind]
        assert [str(each) for each in findings if each.severity is Severity.ERROR] == []
        assert predicted[0] == "read"

    @SHORT
    @given(spoilt=SPOILT)
    def test_attributes(self, reader, kind, unspoilt, spoilt):
        datasets = deepcopy(_made(kind))
        contents: list[bytes] = []
        with suppress(AttributeError, OSError, OverflowError, TypeError, ValueError):
            # What pydicom cannot write, or look into for the next change, is left out.
            changed = [_spoil(datasets[file % len(datasets)], *where, change) for *where, file, change in spoilt]
            if any(changed):
                contents = [_bytes(made) for made in datasets]
        assume(contents)
        lacking = all(change[0] in ("remove", "empty") for *_, change in spoilt)
        self._check(reader, kind, unspoilt, contents, lacking=lacking)

    @SHORT
    @given(name=st.sampled_from(NAMES), how=st.sampled_from(["remove", "empty"]))
    def test_one_attribute_is_missing_everywhere(self, reader, kind, unspoilt, name, how):
        datasets = deepcopy(_made(kind))
        for made in datasets:
            for where in range(len([each for each in _holders(made) if name in each])):
                _spoil(made, name, 0 if how == "remove" else where, (how, None))
        self._check(reader, kind, unspoilt, [_bytes(made) for made in datasets], lacking=True)

    @SHORT
    @given(data=st.data())
    def test_bytes(self, reader, kind, unspoilt, data):
        contents = [bytearray(_bytes(made)) for made in _made(kind)]
        content = contents[data.draw(st.integers(0, len(contents) - 1))]
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del content[data.draw(st.integers(0, len(content))) :]
        self._check(reader, kind, unspoilt, [bytes(each) for each in contents], lacking=False)

    def _check(self, reader, kind, unspoilt, contents, *, lacking: bool) -> None:
        findings, predicted = _read(reader, kind, contents)
        said = " ".join([*(str(each) for each in findings), str(predicted[1])])
        assert "Rossi" not in said
        assert "1.2.3" not in said
        errors = [each for each in findings if each.severity is Severity.ERROR]
        if kind != "segmentation":
            # convert and predict refuse the same headers.
            of_the_ct = [each for each in errors if each.file == kind and each.code in SAID]
            assert bool(of_the_ct) == (predicted[0] == "error"), (said, predicted)
        if lacking and not SAID & {each.code for each in findings}:
            assert predicted == unspoilt[kind][1]
            # A segment without a label is reported by its number.
            assert [each.code for each in findings] == [each.code for each in unspoilt[kind][0]]


_MADE: dict[str, list[pydicom.Dataset]] = {}


def _made(kind: str) -> list[pydicom.Dataset]:
    if kind not in _MADE:
        # As read from files, so that values are written as they are and not as pydicom would.
        _MADE[kind] = [pydicom.dcmread(io.BytesIO(_bytes(made))) for made in FILES[kind]()]
    return _MADE[kind]
