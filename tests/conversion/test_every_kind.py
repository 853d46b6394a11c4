"""Every kind of finding: a source that has it, a source next to it that has not, and a message that helps."""

from __future__ import annotations

import gzip
import re
import shutil
import struct
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from nnunet_femur.conversion.checks.duplicates import same_files
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.findings import Finding, Severity
from nnunet_femur.imaging.dicom_output import write_dicom
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.reading import read_ct
from nnunet_femur.kinds import KINDS
from nnunet_femur.testing import make_phantom
from tests.dicom_writing import BASIC_TEXT_SR, RT_STRUCTURE_SET, change, dataset, enhanced_ct, save
from tests.legs import leg, spin_echo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE, MASK = "Images/L442_CT.nrrd", "GoldStandard/L442_GS.nrrd"
TABLE = "cases.csv"


@dataclass
class Source:
    """A source that can be broken: one good pair at first, without any finding in the layout "pairs"."""

    hospital: Any
    write_slices: Callable
    options: dict[str, Any] = field(default_factory=lambda: {"layout": "pairs"})

    @property
    def folder(self) -> Path:
        return self.hospital.folder

    def image(self, change=None, **geometry) -> None:
        self._write(IMAGE, self.hospital.image(), change, geometry)

    def mask(self, change=None, **geometry) -> None:
        self._write(MASK, self.hospital.mask(), change, geometry)

    def _write(self, name, array, change, geometry):
        self.hospital.write(name, array if change is None else change(array), **geometry)

    def rename(self, name: str, to: str) -> None:
        sitk.WriteImage(sitk.ReadImage(str(self.folder / name)), str(self.folder / to))
        (self.folder / name).unlink()

    def slices(self, **options) -> None:
        """The CT as a folder of DICOM slices."""
        (self.folder / IMAGE).unlink(missing_ok=True)
        z_mm = [self.hospital.origin_mm_xyz[2] + z for z in options.pop("z_mm", range(0, 300, 60))]
        self.write_slices(self.folder / "Images/L442", self.hospital.image(), z_mm=z_mm, **options)

    def subject(self, left_voxels: int = 8, right_voxels: int = 8, split: str | None = "train") -> None:
        """A subject of TotalSegmentator's dataset instead; a voxel has 25.2 ml."""
        self.options["layout"] = "totalsegmentator"
        (self.folder / "s1/segmentations").mkdir(parents=True)
        self.hospital.write("s1/ct.nii.gz", self.hospital.image())
        for side, x, voxels in (("left", 1, left_voxels), ("right", 4, right_voxels)):
            mask = np.zeros(self.hospital.shape_zyx, np.uint8)
            mask[1:4, 1:5, x].flat[:voxels] = 1
            self.hospital.write(f"s1/segmentations/femur_{side}.nii.gz", mask)
        if split is not None:
            (self.folder / "meta.csv").write_text(f"image_id;age;split\ns1;;{split}\n")

    def table(self, *rows: str) -> None:
        self.options["layout"] = "csv"
        (self.folder / TABLE).write_text("\n".join(("image,mask,patient,side,set", *rows)) + "\n")

    def segmentation(self, names: dict[str, tuple[int, int]], layers: int = 1) -> None:
        """The mask as 3D Slicer writes it; `names` has value and layer of each segment."""
        planes = [self.hospital.mask() if layer == 0 else self.hospital.mask()[:, ::-1] for layer in range(layers)]
        image = (
            sitk.GetImageFromArray(np.stack(planes, -1), isVector=True)
            if layers > 1
            else (sitk.GetImageFromArray(planes[0]))
        )
        image.SetSpacing(self.hospital.spacing_mm_xyz)
        image.SetOrigin(self.hospital.origin_mm_xyz)
        for number, (name, (value, layer)) in enumerate(names.items()):
            for key, entry in (("Name", name), ("LabelValue", value), ("Layer", layer)):
                image.SetMetaData(f"Segment{number}_{key}", str(entry))
        (self.folder / MASK).unlink()
        sitk.WriteImage(image, str(self.folder / "GoldStandard/L442.seg.nrrd"))

    def header(self, name: str, pattern: str, line: str) -> None:
        """Replace lines of an NRRD header; the first of them becomes `line`."""
        head, end, voxels = (self.folder / name).read_bytes().partition(b"\n\n")
        lines = iter([line])
        text = re.sub(pattern, lambda _: next(lines, ""), head.decode() + "\n")
        text = re.sub(r"\n+", "\n", text).rstrip("\n")
        (self.folder / name).write_bytes(text.encode() + end + voxels)

    def shear(self, by: str) -> None:
        """Write a CT whose second axis leans."""
        header = (
            "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 7 6 5\n"
            f"space directions: (20,0,0) ({by},21,0) (0,0,60)\nspace origin: (-10,20.5,-300.25)\n"
            "kinds: domain domain domain\nendian: little\nencoding: raw\n\n"
        )
        (self.folder / IMAGE).write_bytes(header.encode() + self.hospital.image().tobytes())

    def findings(self) -> list[Finding]:
        options = ConversionOptions(**self.options)
        found = find_cases(self.folder, options)
        findings = list(found.findings)
        twice = same_files(found.root, found.cases)
        findings += [*twice.warnings, *(error for errors in twice.errors.values() for error in errors)]
        for case in found.cases:
            findings += check_headers(found.root, case, options)
            voxels = read_case(found.root, case, options)
            findings += voxels if isinstance(voxels, list) else voxels.findings
        return findings


def _set(value, where=np.s_[0, 0, 0]):
    def change(array):
        array = array.astype(np.float32) if isinstance(value, float) else array.copy()
        array[where] = value
        return array

    return change


def _rotation(degrees: float) -> tuple[float, ...]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (c, -s, 0, s, c, 0, 0, 0, 1)


def _called_as(source: Source, name: str) -> None:
    (source.folder / IMAGE).rename(source.folder / name)


def _space(name: str):
    """The CT with the same numbers in another space."""

    def change(source: Source) -> None:
        for file in (IMAGE, MASK):
            source.header(file, "space: .*", f"space: {name}")

    return change


def _without_space(source: Source) -> None:
    source.header(MASK, "space: .*", "space dimension: 3")


def _nifti(source: Source) -> bytearray:
    """The CT as NIfTI; returns its bytes."""
    sitk.WriteImage(sitk.ReadImage(str(source.folder / IMAGE)), str(source.folder / "Images/L442.nii"))
    (source.folder / IMAGE).unlink()
    return bytearray((source.folder / "Images/L442.nii").read_bytes())


def _nifti_pixdim(source: Source, z_mm: float) -> None:
    content = _nifti(source)
    struct.pack_into("<f", content, 88, z_mm)
    struct.pack_into("<h", content, 252, 0)  # no qform, which rests on the same numbers
    (source.folder / "Images/L442.nii").write_bytes(content)


def _nifti_packed(source: Source, *, packed: bool) -> None:
    content = bytes(_nifti(source))
    (source.folder / "Images/L442.nii").write_bytes(gzip.compress(content) if packed else content)


def _nifti_slope(source: Source, slope: float, intercept: float) -> None:
    import nibabel

    sitk.WriteImage(sitk.ReadImage(str(source.folder / IMAGE)), str(source.folder / "Images/L442.nii"))
    (source.folder / IMAGE).unlink()
    path = source.folder / "Images/L442.nii"
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, intercept], np.float32).tobytes()
    path.write_bytes(content)
    assert nibabel.load(path).dataobj.slope == slope


def _called(case: str):
    """Another id, with letters that are taken as they are."""

    def change(source: Source) -> None:
        source.options["id_pattern"] = r"L4\W42"
        for name in (IMAGE, MASK):
            source.rename(name, name.replace("L442", case))

    return change


def _truncate(source: Source, kept: int) -> None:
    path = source.folder / IMAGE
    path.write_bytes(path.read_bytes()[:kept])


def _four_dimensions(source: Source, times: int) -> None:
    (source.folder / IMAGE).unlink()
    import nibabel

    stack = np.stack([source.hospital.image().transpose()] * times, -1)
    affine = np.diag([-20.0, -21.0, 60.0, 1.0])
    affine[:3, 3] = (10, -20.5, -300.25)
    nibabel.save(nibabel.Nifti1Image(stack, affine), source.folder / "Images/L442.nii.gz")


def _vector(source: Source, name: str, components: int) -> None:
    array = np.stack([source.hospital.mask()] * components, -1)
    image = (
        sitk.GetImageFromArray(array, isVector=components > 1)
        if components > 1
        else (sitk.GetImageFromArray(source.hospital.image()))
    )
    image.SetSpacing(source.hospital.spacing_mm_xyz)
    image.SetOrigin(source.hospital.origin_mm_xyz)
    sitk.WriteImage(image, str(source.folder / name))


def _turn_mask(source: Source, orientation: str) -> None:
    path = str(source.folder / MASK)
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(path), orientation), path)


def _crop(source: Source, mm_aside: float = 0.0) -> None:
    source.mask(lambda mask: mask[1:, 1:, 1:], origin=(10 + mm_aside, 41.5, -240.25))


def _moved(voxels: float):
    def change(source: Source) -> None:
        source.options["trust"] = "headers"
        source.mask(origin=(-10 + 20 * voxels, 20.5, -300.25))

    return change


def _long(length: int):
    """A femur that is long in z: a voxel is 60 mm."""

    def change(source: Source) -> None:
        shape = (14, 6, 7)
        mask = np.zeros(shape, np.uint8)
        mask[1 : 1 + length, 2:4, 2] = 1
        image = np.random.default_rng(0).integers(-900, 1500, shape).astype(np.int16)
        source.hospital.write(IMAGE, image)
        source.hospital.write(MASK, mask)

    return change


def _small(voxels: int):
    """A cube of voxels of 4 x 4 x 4 mm, 0.064 ml each."""

    def change(source: Source) -> None:
        mask = np.zeros((14, 14, 14), np.uint8)
        mask[1 : 1 + voxels, 1 : 1 + voxels, 1 : 1 + voxels] = 1
        image = np.random.default_rng(0).integers(-900, 1500, mask.shape).astype(np.int16)
        source.hospital.write(IMAGE, image, spacing=(4, 4, 4))
        source.hospital.write(MASK, mask, spacing=(4, 4, 4))

    return change


def _large(planes: int):
    """Voxels of 25.2 ml, 9 of them in a plane."""

    def change(source: Source) -> None:
        mask = np.zeros((10, 6, 7), np.uint8)
        mask[1 : 1 + planes, 1:4, 1:4] = 1
        image = np.random.default_rng(0).integers(-900, 1500, mask.shape).astype(np.int16)
        source.hospital.write(IMAGE, image)
        source.hospital.write(MASK, mask)

    return change


def _leg(change=lambda hu: hu):
    """A CT that is large enough for its values to be judged, and the bone in it."""

    def make(source: Source) -> None:
        hu = leg()
        mask = np.zeros(hu.shape, np.uint8)
        mask[2:-2, 20:28, 20:28] = 1
        source.hospital.write(IMAGE, np.ascontiguousarray(change(hu)), spacing=(4, 4, 15))
        source.hospital.write(MASK, mask, spacing=(4, 4, 15))

    return make


def _nail(hu: np.ndarray) -> np.ndarray:
    """A nail whose edge is beyond 12 bits and starts again below."""
    metal = np.maximum(hu, -1024)
    metal[:, 21:27, 21:27] = 2900
    metal[:, 22:26:2, 22:26:2] = -900
    return metal


def _two_legs(side: str):
    """A CT that shows both legs, and the mask of one; x leads to the patient's left."""

    def make(source: Source) -> None:
        hu = np.concatenate([leg(seed=1), leg(seed=2)], axis=2)
        mask = np.zeros(hu.shape, np.uint8)
        x = 20 if side == "right" else 68
        mask[2:-2, 20:28, x : x + 8] = 1
        source.hospital.write(IMAGE, hu, spacing=(4, 4, 15))
        source.hospital.write(MASK, mask, spacing=(4, 4, 15))

    return make


def _slices(count: int):
    def change(source: Source) -> None:
        source.image(lambda image: image[:count])
        source.mask(lambda mask: mask[:count])

    return change


def _copied(*names: str):
    """The same CT, or the same mask, as another case."""

    def change(source: Source) -> None:
        source.hospital.add("L443")
        for name in names:
            shutil.copy(source.folder / name, source.folder / name.replace("L442", "L443"))

    return change


def _two_rows(*masks: str):
    """One CT, once for each of the masks."""

    def change(source: Source) -> None:
        source.hospital.write("other.nrrd", source.hospital.mask()[:, ::-1])
        source.table(*(f"{IMAGE},{mask},1,," for mask in masks))
        text = (source.folder / TABLE).read_text().splitlines()
        rows = [f"{row},L{number}" for number, row in enumerate(text[1:])]
        (source.folder / TABLE).write_text("\n".join([f"{text[0]},id", *rows]) + "\n")

    return change


def _named(image: str, mask: str):
    return lambda source: (source.rename(IMAGE, f"Images/{image}"), source.rename(MASK, f"GoldStandard/{mask}"))


def _option(**options):
    return lambda source: source.options.update(options)


def _both(*changes):
    def change(source: Source) -> None:
        for each in changes:
            each(source)

    return change


def _thigh(*, mirrored: bool):
    def change(source: Source) -> None:
        ct = np.random.default_rng(0).integers(-900, 90, (16, 30, 30)).astype(np.int16)
        bone = np.zeros(ct.shape, bool)
        bone[2:14, 5:12, 4:11] = True
        ct[bone] += 1000
        source.hospital.write(IMAGE, ct, spacing=(5, 5, 20))
        source.hospital.write(MASK, (bone[:, :, ::-1] if mirrored else bone).astype(np.uint8), spacing=(5, 5, 20))

    return change


@cache
def _phantom(side: str):
    return make_phantom(7, side=side)


def _diagonal(*axes: int) -> tuple[int, ...]:
    return tuple(np.diag(axes).ravel().tolist())


def _whole_femur(side: str, direction: tuple[int, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1), *, from_above: bool = False):
    """The CT and the mask of a phantom, as those of a left femur, with this direction in both headers.

    The slices are stored upwards, or from above.
    """

    def make(source: Source) -> None:
        made = _phantom(side)
        for name, image in ((IMAGE, made.image), (MASK, made.mask)):
            array = sitk.GetArrayFromImage(image)[:: -1 if from_above else 1]
            source.hospital.write(name, array, spacing=image.GetSpacing(), direction=direction)

    return make


GRADIENT = np.linspace(0, 1, 5 * 6 * 7).reshape(5, 6, 7)


# The code; the file that the finding names; what makes it; what is close to it, but right.
def _slice_files(source: Source) -> list[Path]:
    return sorted((source.folder / "Images/L442").iterdir())


def _contours(source: Source) -> None:
    (source.folder / MASK).unlink()
    save(dataset(RT_STRUCTURE_SET, Modality="RTSTRUCT"), source.folder / "GoldStandard/L442.dcm")


def _drawn(source: Source, *, as_seg: bool = False) -> None:
    """The mask as an RTSTRUCT or as a DICOM SEG of the CT's slices, as other programs write it: without a grid."""
    source.slices()
    (source.folder / MASK).unlink()
    folder, path = source.folder / "Images/L442", source.folder / f"GoldStandard/L442{'.seg' if as_seg else ''}.dcm"
    for file in folder.iterdir():
        change(file, StudyInstanceUID="1.2.7", FrameOfReferenceUID="1.2.8")
    written = path.with_name("L442.seg.dcm" if as_seg else "L442.rtstruct.dcm")
    write_dicom(image_of(source.hospital.mask(), read_ct(folder).header.geometry), written, folder)
    written.rename(path)
    if not as_seg:
        made = pydicom.dcmread(path)
        del made.ROIContourSequence[0].SourcePixelPlanesCharacteristicsSequence
        made.save_as(path)


def _dicom_seg(kind: str) -> Callable[[Source], None]:
    """The mask as a DICOM SEG with the values 0 and 1, which is all of a FRACTIONAL one too."""

    def write(source: Source) -> None:
        (source.folder / MASK).unlink()
        x_mm, y_mm, z_mm = source.hospital.origin_mm_xyz
        made = enhanced_ct(source.hospital.mask(), range(5))
        made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.66.4", "SEG"
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.SegmentationType, made.MaximumFractionalValue = kind, 1
        made.BitsStored, made.HighBit = 8, 7
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel = 1, "Femur"
        made.SegmentSequence = [segment]
        for index, group in enumerate(made.PerFrameFunctionalGroupsSequence):
            group.PlanePositionSequence[0].ImagePositionPatient = [x_mm, y_mm, z_mm + 60 * index]
            identification = Dataset()
            identification.ReferencedSegmentNumber = 1
            group.SegmentIdentificationSequence = [identification]
        save(made, source.folder / "GoldStandard/L442.dcm")

    return write


KINDS_AND_SOURCES: list[tuple[str, str, Callable[[Source], Any], Callable[[Source], Any]]] = [
    ("layout", ".", _option(layout="auto"), _option(layout="pairs")),
    (
        "stray-file",
        "Images/notes.txt",
        lambda s: (s.folder / "Images/notes.txt").write_text("x"),
        lambda s: (s.folder / "Images/.DS_Store").write_text("x"),
    ),
    (
        "no-id",
        "Images/femur.nrrd",
        lambda s: s.rename(IMAGE, "Images/femur.nrrd"),
        lambda s: s.rename(IMAGE, "Images/l442.nrrd"),
    ),
    ("id-changed", "Images/L4.42_CT.nrrd", _called("L4.42"), _called("L4-42")),
    (
        "unpaired-image",
        IMAGE,
        lambda s: (s.folder / MASK).unlink(),
        lambda s: s.rename(MASK, "GoldStandard/l442.nii.gz"),
    ),
    ("unpaired-mask", MASK, lambda s: (s.folder / IMAGE).unlink(), lambda s: s.rename(IMAGE, "Images/L442.mha")),
    (
        "duplicate-id",
        IMAGE,
        lambda s: shutil.copy(s.folder / IMAGE, s.folder / "Images/L442_b.nrrd"),
        lambda s: s.hospital.add("L443"),
    ),
    (
        "other-exam",
        "GoldStandard/L442-2019_GS.nrrd",
        _named("L442-2023_CT.nrrd", "L442-2019_GS.nrrd"),
        _named("L442-2023_CT_0000.nrrd", "L442_2023_GS_v2.nrrd"),
    ),
    ("ct-twice", IMAGE, _two_rows(MASK, "other.nrrd"), _two_rows(f"{MASK}|other.nrrd")),
    ("same-exam", IMAGE, _copied(IMAGE, MASK), _copied(MASK)),
    (
        "table-row",
        TABLE,
        lambda s: s.table(f"{IMAGE},nowhere.nrrd,1,left,"),
        lambda s: s.table(f"{IMAGE},{MASK},1,left,test"),
    ),
    (
        "femur-missing",
        "s1/segmentations/femur_left.nii.gz",
        _both(lambda s: s.subject(left_voxels=0), lambda s: _second(s)),
        lambda s: s.subject(),
    ),
    (
        "femur-cut",
        "s1/segmentations/femur_right.nii.gz",
        _both(lambda s: s.subject(right_voxels=1), lambda s: _second(s)),
        lambda s: s.subject(right_voxels=2),
    ),
    ("no-set", "s1/ct.nii.gz", lambda s: s.subject(split=None), lambda s: s.subject(split="val")),
    ("unreadable", IMAGE, lambda s: _truncate(s, -20), lambda s: _truncate(s, None)),
    ("not-3d", "Images/L442.nii.gz", lambda s: _four_dimensions(s, 2), lambda s: _four_dimensions(s, 1)),
    ("colour", IMAGE, lambda s: _vector(s, IMAGE, 3), lambda s: _vector(s, IMAGE, 1)),
    (
        "mask-layers",
        MASK,
        lambda s: _vector(s, MASK, 2),
        lambda s: s.segmentation({"femur": (1, 0), "tibia": (1, 1)}, 2),
    ),
    ("bad-geometry", IMAGE, lambda s: s.shear("10"), _both(lambda s: s.shear("0.2"), _option(trust="voxels"))),
    ("axes-straightened", IMAGE, lambda s: s.shear("0.2"), lambda s: s.shear("0.001")),
    (
        "no-spacing",
        IMAGE,
        lambda s: s.header(IMAGE, r"space directions: .*\nkinds: .*\n", ""),
        lambda s: s.header(IMAGE, "kinds: .*\n", ""),
    ),
    (
        "orientation-unknown",
        IMAGE,
        lambda s: s.header(IMAGE, r"space: .*\n|space directions: .*\n|space origin: .*\n", "spacings: 20 21 60\n"),
        lambda s: s.image(),
    ),
    ("origin-unknown", IMAGE, lambda s: s.header(IMAGE, r"space origin: .*\n", ""), lambda s: s.image()),
    (
        "space-unnamed",
        IMAGE,
        lambda s: s.header(IMAGE, "space: .*", "space dimension: 3"),
        _space("right-anterior-superior"),
    ),
    ("transforms-differ", "Images/L442.nii", lambda s: _nifti_pixdim(s, 61.0), lambda s: _nifti_pixdim(s, 60.0)),
    ("ending", "Images/L442.nii", lambda s: _nifti_packed(s, packed=True), lambda s: _nifti_packed(s, packed=False)),
    (
        "ending-wrong",
        "Images/L442.mha",
        lambda s: _called_as(s, "Images/L442.mha"),
        lambda s: _called_as(s, "Images/L442.NRRD"),
    ),
    ("not-ct", "Images/L442", lambda s: s.slices(t0008_0060="MR"), lambda s: s.slices()),
    ("not-mask", "GoldStandard/L442.dcm", _contours, _dicom_seg("LABELMAP")),
    (
        "dicom-attribute",
        "Images/L442",
        lambda s: (s.slices(), change(s.folder / "Images/L442/slice002.dcm", PixelSpacing=None)),
        lambda s: (s.slices(), change(s.folder / "Images/L442/slice002.dcm", PixelSpacing=[21, 20])),
    ),
    (
        "modality",
        "Images/L442",
        lambda s: (s.slices(), [change(file, Modality=None) for file in _slice_files(s)]),
        lambda s: s.slices(),
    ),
    (
        "rescale-missing",
        "Images/L442",
        lambda s: (s.slices(), [change(file, RescaleSlope=None) for file in _slice_files(s)]),
        lambda s: s.slices(),
    ),
    (
        "rescale-type",
        "Images/L442",
        lambda s: (s.slices(), [change(file, RescaleType="US") for file in _slice_files(s)]),
        lambda s: (s.slices(), [change(file, RescaleType="HU") for file in _slice_files(s)]),
    ),
    (
        "dicom-left-out",
        "Images/L442",
        lambda s: (s.slices(), save(dataset(BASIC_TEXT_SR, Modality="SR"), s.folder / "Images/L442/SR1")),
        lambda s: (s.slices(), (s.folder / "Images/L442/notes.txt").write_text("x")),
    ),
    (
        "dicom-joined",
        "Images/L442",
        lambda s: (s.slices(), [change(file, SeriesInstanceUID=generate_uid()) for file in _slice_files(s)]),
        lambda s: (s.slices(), [change(file, SeriesInstanceUID="1.2.9") for file in _slice_files(s)]),
    ),
    ("seg-fractional", "GoldStandard/L442.dcm", _dicom_seg("FRACTIONAL"), _dicom_seg("LABELMAP")),
    ("contours-filled", "GoldStandard/L442.dcm", _drawn, partial(_drawn, as_seg=True)),
    ("too-thin", IMAGE, _slices(2), _slices(3)),
    (
        "several-series",
        "Images/L442",
        lambda s: (s.slices(), s.slices(series="1.2.9", first=100)),
        lambda s: s.slices(),
    ),
    (
        "slice-gap",
        "Images/L442",
        lambda s: s.slices(z_mm=(0, 60, 180, 240, 300)),
        lambda s: s.slices(z_mm=(0, 60, 120, 180, 240)),
    ),
    (
        "slices-uneven",
        "Images/L442",
        lambda s: s.slices(z_mm=(0, 60, 135, 180, 240)),
        lambda s: s.slices(z_mm=(0, 60, 123, 180, 240)),
    ),
    (
        "slice-distance",
        "Images/L442",
        lambda s: s.slices(z_mm=(0, 60, 123, 180, 240)),
        lambda s: s.slices(z_mm=(0, 60, 120.1, 180, 240)),
    ),
    (
        "image-direction",
        IMAGE,
        lambda s: s.image(direction=_rotation(5)),
        lambda s: s.image(direction=_rotation(0.001)),
    ),
    ("image-rescaled", "Images/L442.nii", lambda s: _nifti_slope(s, 1.5, -24), lambda s: _nifti_slope(s, 1, 0)),
    ("mask-reordered", MASK, lambda s: _turn_mask(s, "SLA"), lambda s: _turn_mask(s, "LPS")),
    ("grid-snapped", MASK, _moved(1e-4 / 20), _moved(1e-8)),
    (
        "mask-geometry",
        MASK,
        lambda s: s.mask(origin=(0, 20.5, -300.25)),
        lambda s: s.mask(lambda m: m[1:], origin=(0, 20.5, -300.25)),
    ),
    (
        "mask-trusted",
        MASK,
        _both(lambda s: s.mask(spacing=(1, 1, 1)), _option(trust="voxels")),
        _option(trust="voxels"),
    ),
    ("grid-settled", MASK, _both(_space("right-anterior-superior"), _without_space), _without_space),
    ("mask-cropped", MASK, lambda s: _crop(s), _moved(0)),
    ("mask-resampled", MASK, lambda s: _crop(s, 3.0), lambda s: _crop(s)),
    ("grids-apart", MASK, _moved(7), _moved(1)),
    ("mask-outside", MASK, _moved(4), _moved(1)),
    ("not-finite", IMAGE, lambda s: s.image(_set(float("nan"))), lambda s: s.image(_set(-1000.0))),
    ("image-constant", IMAGE, lambda s: s.image(lambda a: a * 0), lambda s: s.image(lambda a: a * (GRADIENT > 0.5))),
    (
        "image-8bit",
        IMAGE,
        lambda s: s.image(lambda a: (GRADIENT * 255).astype(np.uint8)),
        lambda s: s.image(lambda a: a.astype(np.int32)),
    ),
    ("image-positive", IMAGE, lambda s: s.image(lambda a: a + 1000), lambda s: s.image(lambda a: a + 800)),
    (
        "image-normalised",
        IMAGE,
        lambda s: s.image(lambda a: (GRADIENT * 4 - 2).astype(np.float32)),
        lambda s: s.image(lambda a: (GRADIENT * 2400 - 1000).astype(np.float32)),
    ),
    (
        "image-range",
        IMAGE,
        lambda s: s.image(lambda a: np.clip(a, -160, 240)),
        lambda s: s.image(lambda a: np.clip(a, -160, 800)),
    ),
    ("image-below-air", IMAGE, _leg(lambda hu: hu - 1024), _leg()),
    ("image-windowed", IMAGE, lambda s: s.image(lambda a: np.clip(a, -200, 800)), lambda s: s.image()),
    ("image-air", IMAGE, _leg(lambda hu: hu + 100), _leg(lambda hu: hu + 20)),
    ("image-tissue", IMAGE, _leg(lambda hu: spin_echo(hu).astype(np.int16) * 2 - 1024), _leg()),
    ("image-wrapped", IMAGE, _leg(_nail), _leg()),
    ("image-rounded", IMAGE, lambda s: s.image(_set(10.4)), lambda s: s.image(_set(10.0))),
    ("image-clipped", IMAGE, lambda s: s.image(_set(4e4)), lambda s: s.image(_set(2e3))),
    ("padding", IMAGE, lambda s: s.image(_set(-1024)), lambda s: s.image(_set(-1023))),
    ("metal", IMAGE, lambda s: s.image(_set(2900)), lambda s: s.image(_set(2100))),
    ("empty-mask", MASK, lambda s: s.mask(lambda m: m * 0), lambda s: s.mask()),
    ("mask-type", MASK, lambda s: s.mask(lambda m: m.astype(float)), lambda s: s.mask(lambda m: m.astype(np.int32))),
    ("mask-label-2", MASK, lambda s: s.mask(lambda m: m * 2), lambda s: s.mask()),
    ("mask-label-other", MASK, lambda s: s.mask(lambda m: m * 255), lambda s: s.mask(lambda m: m * 1)),
    (
        "mask-labels",
        MASK,
        lambda s: s.mask(_set(3, np.s_[1, 2, 1])),
        _both(lambda s: s.mask(_set(3, np.s_[1, 2, 1])), _option(labels=(1, 3))),
    ),
    (
        "labels-left-out",
        MASK,
        _both(lambda s: s.mask(_set(2, np.s_[1, 2, 1])), _option(labels=(1,))),
        _both(lambda s: s.mask(_set(2, np.s_[1, 2, 1])), _option(labels=(1, 2))),
    ),
    (
        "segments-chosen",
        "GoldStandard/L442.seg.nrrd",
        lambda s: s.segmentation({"Femur": (1, 0), "Tibia": (2, 0)}),
        lambda s: s.segmentation({"Bone": (1, 0)}),
    ),
    (
        "segment-missing",
        "GoldStandard/L442.seg.nrrd",
        _both(lambda s: s.segmentation({"Bone": (1, 0), "Tibia": (2, 0)})),
        _both(lambda s: s.segmentation({"Bone": (1, 0), "Tibia": (2, 0)}), _option(segments=("bone",))),
    ),
    (
        "segments-unclear",
        "GoldStandard/L442.seg.nrrd",
        lambda s: s.segmentation({"Femur implant": (1, 0), "Femur cartilage": (2, 0)}),
        lambda s: s.segmentation({"Femur implant": (2, 0), "Left femur": (1, 0)}),
    ),
    ("mask-side", MASK, _two_legs("right"), _two_legs("left")),
    ("side-contradiction", MASK, _whole_femur("right"), _whole_femur("left")),
    (
        "upside-down",
        MASK,
        _whole_femur("left", _diagonal(-1, 1, -1)),
        _whole_femur("left", _diagonal(1, 1, -1), from_above=True),
    ),
    ("back-to-front", MASK, _whole_femur("left", _diagonal(-1, -1, 1)), _whole_femur("left")),
    ("mask-border", MASK, lambda s: s.mask(_set(1, np.s_[0:2, 2, 1])), lambda s: s.mask()),
    (
        "mask-padding",
        MASK,
        _both(lambda s: s.image(_set(-1024, np.s_[:3])), lambda s: s.mask()),
        lambda s: s.image(_set(-1024, np.s_[0])),
    ),
    (
        "mask-off-bone",
        MASK,
        lambda s: s.image(_set(0, np.s_[1:, 1:, :5])),
        lambda s: s.image(_set(0, np.s_[1:2, 2:5, 1:4])),
    ),
    ("mask-mirrored", MASK, _thigh(mirrored=True), _thigh(mirrored=False)),
    ("mask-components", MASK, lambda s: s.mask(_set(1, np.s_[1, 4, 5])), lambda s: s.mask(_set(1, np.s_[3, 3, 4]))),
    ("mask-tiny", MASK, _small(5), _small(6)),
    ("mask-volume", MASK, _large(5), _large(4)),
    ("mask-length", MASK, _long(11), _long(9)),
]


def _second(source: Source) -> None:
    """Another subject with whole femurs: a dataset without any is refused outright."""
    shutil.copytree(source.folder / "s1", source.folder / "s2")
    for side in ("left", "right"):
        mask = np.zeros(source.hospital.shape_zyx, np.uint8)
        mask[1:4, 1:5, 1 if side == "left" else 4] = 1
        source.hospital.write(f"s2/segmentations/femur_{side}.nii.gz", mask)


@pytest.fixture
def source(hospital, write_slices) -> Source:
    return Source(hospital.add("L442"), write_slices)


def test_a_good_pair_has_no_finding(source):
    assert source.findings() == []


OF_A_RUN = {"crash", "reader-warning", "too-large", "patient-without-case", "case-without-patient", "split"}
"""Kinds that no single file shows; the tests of the whole conversion and of ITK's warnings have them."""


OF_AN_UPDATE = {"of-test-patient", "other-ct", "known-ct"}
"""Kinds of cases that are added to a dataset; tests/conversion/test_updating.py has them."""


OF_TWO_FEMURS = {"same-side", "sides-exchanged"}
"""Kinds that conversion does not find, since a mask of two femurs is not compared."""


OF_AN_ERROR = {"shape-unchecked"}
"""Kinds that report an unexpected error of a check."""


def test_an_error_of_the_shape_keeps_no_case_out(source, monkeypatch):
    monkeypatch.setattr("nnunet_femur.conversion.checks.mask_checks.coarse_anatomy", lambda *_: 1 / 0)
    _whole_femur("left")(source)
    findings = source.findings()
    assert not [each for each in findings if each.severity is Severity.ERROR]
    (found,) = (each for each in findings if each.code == "shape-unchecked")
    assert (found.severity, found.file) == (Severity.NOTE, MASK)
    assert "ZeroDivisionError" in found.problem


def test_every_kind_is_tried():
    assert [code for code, *_ in KINDS_AND_SOURCES if code not in KINDS] == []
    assert set(KINDS) - OF_A_RUN - OF_AN_UPDATE - OF_TWO_FEMURS - OF_AN_ERROR == {
        code for code, *_ in KINDS_AND_SOURCES
    }


@pytest.mark.parametrize(
    ("code", "file", "breaks"), [row[:3] for row in KINDS_AND_SOURCES], ids=[row[0] for row in KINDS_AND_SOURCES]
)
def test_it_is_found_and_reported(source, code, file, breaks):
    breaks(source)
    findings = [finding for finding in source.findings() if finding.code == code]
    assert findings, f"only {[str(finding) for finding in source.findings()]}"
    assert file in {finding.file for finding in findings}
    for finding in findings:
        assert finding.severity is KINDS[code].severity
        assert str(finding).startswith(f"{finding.file}: {finding.problem}")
        assert finding.problem.endswith(".")
        assert str(finding).endswith(finding.remedy)
        if finding.severity is not Severity.NOTE:
            assert finding.remedy.endswith(".")
        assert "Rossi" not in str(finding)


@pytest.mark.parametrize(
    ("code", "near"), [(row[0], row[3]) for row in KINDS_AND_SOURCES], ids=[row[0] for row in KINDS_AND_SOURCES]
)
def test_a_similar_source_has_no_such_finding(source, code, near):
    near(source)
    findings = source.findings()
    assert code not in [finding.code for finding in findings]
    assert [str(finding) for finding in findings if finding.severity is Severity.ERROR] == []
