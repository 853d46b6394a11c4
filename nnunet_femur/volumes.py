"""Read, check, orient and write one volume; its geometry in one dataclass.

Order of axes: everything named ``_xyz`` is SimpleITK's order, every array is numpy's z, y, x.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
"""File endings (lower case) that are read as volumes."""

WRITTEN_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Those that are written: one file each, so that a rename can put it in place."""

GRID_TOLERANCE = 1e-3
"""Largest difference of two equal grids: mm for origin and spacing, cosines for direction."""


class VolumeError(InputError):
    """A file that cannot be used as a volume.

    Attributes:
        path: The file.
        problem: What is wrong with it.
        remedy: What to do about it.
        code: Short name of the kind of problem: "unreadable", "not-3d", "colour", ...
    """

    def __init__(self, path: Path, problem: str, remedy: str, *, code: str = "unreadable") -> None:
        super().__init__(f"{path}: {problem} {remedy}")
        self.path, self.problem, self.remedy, self.code = path, problem, remedy, code

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it come back from a worker process."""
        return _volume_error, (self.path, self.problem, self.remedy, self.code)


def _volume_error(path: Path, problem: str, remedy: str, code: str) -> VolumeError:
    return VolumeError(path, problem, remedy, code=code)


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a volume lie in the patient (LPS millimetres, as in SimpleITK).

    Attributes:
        size_xyz: Number of voxels along x, y, z.
        spacing_mm_xyz: Distance of neighbouring voxels in mm.
        origin_mm_xyz: Position of the first voxel's centre in mm.
        direction: Row-major 3 x 3 matrix of direction cosines; its columns are the axes.
    """

    size_xyz: tuple[int, ...]
    spacing_mm_xyz: tuple[float, ...]
    origin_mm_xyz: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image | sitk.ImageFileReader) -> Geometry:
        """Geometry of an image, or of a reader that has read a file's header."""
        return cls(
            tuple(int(n) for n in image.GetSize()),
            tuple(float(s) for s in image.GetSpacing()),
            tuple(float(o) for o in image.GetOrigin()),
            tuple(float(d) for d in image.GetDirection()),
        )

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm_xyz)) / 1000.0

    @property
    def spacing_mm_zyx(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels in mm, in the order of a numpy array's axes."""
        x, y, z = self.spacing_mm_xyz
        return z, y, x

    @property
    def shape_zyx(self) -> tuple[int, ...]:
        """Shape of the volume as a numpy array."""
        return self.size_xyz[::-1]

    def differences(self, other: Geometry, *, tolerance: float = GRID_TOLERANCE) -> list[str]:
        """What keeps two volumes from lying on one grid, in words; empty if nothing does.

        Args:
            other: The geometry to compare with.
            tolerance: Largest difference that still counts as equal: mm for origin and spacing, cosines for
                direction.
        """
        found = []
        if self.size_xyz != other.size_xyz:
            found.append(f"size {_words(self.size_xyz)} against {_words(other.size_xyz)} voxels (x, y, z)")
        for name, unit, mine, theirs in (
            ("spacing", " mm", self.spacing_mm_xyz, other.spacing_mm_xyz),
            ("origin", " mm", self.origin_mm_xyz, other.origin_mm_xyz),
            ("direction", "", self.direction, other.direction),
        ):
            if len(mine) != len(theirs) or not np.allclose(mine, theirs, rtol=0, atol=tolerance):
                found.append(f"{name} {_words(mine)} against {_words(theirs)}{unit}")
        return found


@dataclass(frozen=True)
class AxisOrder:
    """The same voxels, stored along other axes: a permutation and flips, nothing is interpolated.

    Attributes:
        axes_xyz: For each new axis, which old one it is.
        flipped_xyz: For each new axis, whether it runs against the old one.
    """

    axes_xyz: tuple[int, ...]
    flipped_xyz: tuple[bool, ...]

    @classmethod
    def between(cls, stored: Geometry, wanted: Geometry) -> AxisOrder:
        """The order that brings axes `stored` closest to axes `wanted`.

        Two grids that agree physically are brought together exactly, oblique ones too, where naming the nearest
        of the patient's axes for each of them could end differently by a rounding error.
        """
        cosines = np.reshape(wanted.direction, (3, 3)).T @ np.reshape(stored.direction, (3, 3))
        best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[i, axes[i]]) for i in range(3)))
        return cls(best, tuple(bool(cosines[i, best[i]] < 0) for i in range(3)))

    @property
    def changes_nothing(self) -> bool:
        """Whether the voxels are stored along the wanted axes already."""
        return self == AxisOrder((0, 1, 2), (False, False, False))

    def of_geometry(self, geometry: Geometry) -> Geometry:
        """The geometry of the reordered volume."""
        steps = np.reshape(geometry.direction, (3, 3)) * geometry.spacing_mm_xyz
        origin = np.array(geometry.origin_mm_xyz)
        for axis, flipped in zip(self.axes_xyz, self.flipped_xyz, strict=True):
            if flipped:
                origin = origin + steps[:, axis] * (geometry.size_xyz[axis] - 1)
        signs = np.where(self.flipped_xyz, -1.0, 1.0)
        direction = np.reshape(geometry.direction, (3, 3))[:, self.axes_xyz] * signs
        return Geometry(
            tuple(geometry.size_xyz[axis] for axis in self.axes_xyz),
            tuple(geometry.spacing_mm_xyz[axis] for axis in self.axes_xyz),
            tuple(float(o) for o in origin),
            tuple(float(d) for d in direction.ravel()),
        )

    def of_array(self, array_zyx: NDArray) -> NDArray:
        """A view of the reordered voxels, z, y, x."""
        turned = array_zyx.transpose([2 - axis for axis in self.axes_xyz[::-1]])
        return turned[tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped_xyz[::-1])]


def _words(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{n:.6g}" for n in numbers) + ")"


def volume_ending(path: Path) -> str | None:
    """The file ending in lower case if it is one of :data:`VOLUME_ENDINGS`, else None."""
    name = path.name.lower()
    return next((ending for ending in VOLUME_ENDINGS if name.endswith(ending)), None)


@dataclass(frozen=True)
class Header:
    """What a volume's header tells, without its voxels.

    Attributes:
        geometry: Where the voxels lie.
        components: Values per voxel: 1, or the layers of a segmentation, or colours.
        rescaled: Whether a slope or an intercept is applied when the voxels are read.
        fields: The header's own fields by name. They may name a patient: nothing of them goes into a message.
    """

    geometry: Geometry
    components: int
    rescaled: bool
    fields: dict[str, str]


def read_header(path: Path) -> Header:
    """The header of a three-dimensional volume; it may have several values per voxel.

    Raises:
        VolumeError: The file is missing, is no volume, is not three-dimensional, or its geometry is none.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _readable(path):
        _require_harmless(path)
        reader.ReadImageInformation()
    if reader.GetDimension() != 3:
        _refuse_dimensions(path, reader.GetDimension(), reader.GetNumberOfComponents())
    geometry = Geometry.of(reader)
    _require_geometry(path, geometry)
    _require_bytes(path, geometry, reader)
    fields = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    scale = (fields.get("scl_slope", "1"), fields.get("scl_inter", "0"))
    rescaled = volume_ending(path) in (".nii", ".nii.gz") and scale not in (("1", "0"), ("0", "0"), ("nan", "nan"))
    return Header(geometry, reader.GetNumberOfComponents(), rescaled, fields)


def read_geometry(path: Path) -> Geometry:
    """Geometry of a volume with one value per voxel, from its header alone.

    Raises:
        VolumeError: As :func:`read_header`, or there are several values per voxel.
    """
    header = read_header(path)
    if header.components != 1:
        _refuse_dimensions(path, 3, header.components)
    return header.geometry


def read_volume(path: Path, *, layers: bool = False) -> sitk.Image:
    """Read a three-dimensional volume.

    Args:
        path: The file.
        layers: Whether several values per voxel are welcome, as the layers of a segmentation are.

    Raises:
        VolumeError: The file is missing, truncated or unreadable, or is not such a volume.
    """
    import SimpleITK as sitk

    header = read_header(path)
    if header.components != 1 and not layers:
        _refuse_dimensions(path, 3, header.components)
    with _readable(path):
        image = sitk.ReadImage(str(path))
        if volume_ending(path) in (".nii", ".nii.gz"):
            _require_whole_nifti(path)
        elif volume_ending(path) == ".nrrd":
            _require_whole_nrrd(path, image)
    return image


@contextmanager
def quiet() -> Iterator[None]:
    """Keep ITK's warnings to itself: they quote headers, and what matters in them is checked anyway."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise VolumeError(path, "there is no such file.", "Check the path.")
    try:
        with quiet():
            yield
    except MemoryError as error:
        raise _too_large(path) from error
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise _too_large(path) from error
        problem = f"cannot be read; truncated, or not a volume ({_last_line(error)})."
        raise VolumeError(path, problem, "Export or copy it again.") from error


def _too_large(path: Path) -> VolumeError:
    return VolumeError(
        path, "does not fit into memory.", "Use fewer --jobs, or crop the volume to the leg.", code="too-large"
    )


def _require_whole_nifti(path: Path) -> None:
    """Raise RuntimeError if voxels are missing: where a NIfTI file ends too early, ITK makes up the rest."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    packed = path.suffix.lower() == ".gz"
    held = _unpacked_bytes(path) if packed else path.stat().st_size
    try:
        voxels = nibabel.load(path).dataobj
        needed = voxels.offset + int(np.prod(voxels.shape)) * voxels.dtype.itemsize
    except (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError) as error:
        msg = "the header makes no sense"
        raise RuntimeError(msg) from error
    if held < needed:
        msg = f"the file ends before its {needed} bytes"
        raise RuntimeError(msg)


def _require_whole_nrrd(path: Path, image: sitk.Image) -> None:
    """Raise RuntimeError if a gzip NRRD file is damaged: ITK takes what comes out of it without comparing checksums.

    The voxels are in memory already, so that their checksum costs next to nothing. Only where it is not the one at the
    end of the file (other byte order, several gzip members) the file is unpacked once more.
    """
    import SimpleITK as sitk
    from isal import isal_zlib

    with path.open("rb") as file:
        head, blank, _ = file.read(_FIRST_BYTES).partition(b"\n\n")
        if not blank or not re.search(rb"^encoding: *(gzip|gz)\s*$", head, re.MULTILINE):
            return
        file.seek(-8, os.SEEK_END)
        expected = int.from_bytes(file.read(4), "little")
    skips = re.search(rb"^(line|byte) ?skip:", head, re.MULTILINE)
    if not skips and isal_zlib.crc32(sitk.GetArrayViewFromImage(image).data.cast("B")) != expected:
        _unpacked_bytes(path, start=len(head) + len(blank))


def _unpacked_bytes(path: Path, *, start: int = 0) -> int:
    """Number of bytes that the gzip stream in a file holds; it may be several, one after another.

    Raises:
        RuntimeError: It ends too early, or its checksum does not fit.
    """
    from isal import isal_zlib

    total, unpacker = 0, isal_zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        file.seek(start)
        try:
            while block := file.read(1 << 20):
                while block:
                    total += len(unpacker.decompress(block))
                    block = unpacker.unused_data if unpacker.eof else b""
                    if unpacker.eof and not block.startswith(b"\x1f\x8b"):
                        return total  # what follows is no further stream
                    if unpacker.eof:
                        unpacker = isal_zlib.decompressobj(wbits=31)
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs call it an instance
            msg = "its compressed voxels are damaged"
            raise RuntimeError(msg) from error
    msg = "its compressed voxels end too early"
    raise RuntimeError(msg)


def _last_line(error: Exception) -> str:
    """ITK's messages are stacks of lines, from where it noticed to what it noticed.

    What it quotes of a header is left out, since that may be a patient's name.
    """
    line = str(error).strip().rpartition("\n")[2].strip()
    if not re.search("[A-Za-z]{3}", line):
        return "its header makes no sense"
    return re.sub(r"""".*"|\|.*\||'[^']*'[^']*$""", "...", line)


def _refuse_dimensions(path: Path, dimension: int, components: int) -> NoReturn:
    problem = (
        f"has {dimension} dimensions and {components} component(s) per voxel; a volume has three dimensions and "
        "one grey value per voxel."
    )
    remedy = "Export a single 3D series." if dimension != 3 else "Export grey values, or one mask."
    raise VolumeError(path, problem, remedy, code="not-3d" if dimension != 3 else "colour")


_FIRST_BYTES = 1 << 20
"""As much of a file as its header can be."""

_TEXT_ENCODING = re.compile(rb"^\s*encoding:\s*(ascii|text|txt)\b", re.MULTILINE | re.IGNORECASE)
_DATA_FILE = re.compile(rb"^\s*(?:data ?file\s*:|ElementDataFile\s*=)\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)


def _require_harmless(path: Path) -> None:
    """Refuse what would crash or hang ITK, or have it read files that are not the volume's.

    ITK writes NRRD voxels that are stored as text over its own memory where a number has too many digits, and takes
    them from any path that a header names, be it a device without an end.

    Raises:
        VolumeError: The header is of this kind.
    """
    if volume_ending(path) not in (".nrrd", ".nhdr", ".mha", ".mhd"):
        return
    with path.open("rb") as file:
        head = file.read(_FIRST_BYTES)
    if head.startswith(b"NRRD"):
        head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
        if _TEXT_ENCODING.search(head):
            problem = "stores its voxels as text, which cannot be read safely."
            raise VolumeError(path, problem, "Save it with gzip or raw encoding.")
    else:
        # MetaImage's header ends with this field.
        match = _DATA_FILE.search(head)
        head = head[: match.end()] if match else b""
    for match in _DATA_FILE.finditer(head):
        _require_beside(path, match[1].decode("utf-8", "replace"), head[match.end() :].decode("utf-8", "replace"))


def _require_beside(path: Path, name: str, following: str) -> None:
    """Refuse data files of a header that do not lie in or below its folder, or are no plain files."""
    if name.upper() == "LOCAL":
        return
    if name.upper().split()[:1] == ["LIST"]:
        names = [line.strip() for line in following.splitlines() if line.strip()]
    elif "%" in name:
        names = name.split()[:1]
    else:
        names = [name]
    for each in names:
        relative = PurePath(each)
        if relative.is_absolute() or ".." in relative.parts:
            problem = "has a header that looks for its voxels outside its folder."
            raise VolumeError(path, problem, "Export it as one file, or with the voxels beside the header.")
        if "%" not in each and not (path.parent / relative).is_file():
            problem = "cannot be read: the file with its voxels, which its header names, is not there."
            raise VolumeError(path, problem, "Copy it beside the header.")


def _require_geometry(path: Path, geometry: Geometry) -> None:
    """Axes at right angles and lengths that a body has; ITK also reads what is sheared, infinite or vanishing."""
    axes = np.reshape(geometry.direction, (3, 3))
    numbers = (*geometry.spacing_mm_xyz, *geometry.origin_mm_xyz, *geometry.direction)
    if not np.isfinite(numbers).all():
        problem = "has a spacing, origin or direction that is no number."
    elif not all(1e-3 <= spacing <= 1e3 for spacing in geometry.spacing_mm_xyz):
        problem = f"has voxels of {_words(geometry.spacing_mm_xyz)} mm."
    elif max(abs(origin) for origin in geometry.origin_mm_xyz) > 1e6:
        problem = f"lies at {_words(geometry.origin_mm_xyz)} mm."
    elif not np.allclose(axes.T @ axes, np.eye(3), atol=1e-2):
        problem = "has axes that are not at right angles."
    elif min(geometry.size_xyz) < 1:
        problem = "has no voxels."
    else:
        return
    raise VolumeError(path, problem, "Export it again; resample a sheared volume.", code="bad-geometry")


_MOST_PACKED = 1100
"""Bytes that one byte of a gzip file can stand for, and a little."""


def _require_bytes(path: Path, geometry: Geometry, reader: sitk.ImageFileReader) -> None:
    """Refuse a header that promises more voxels than its file can hold, before memory is taken for them."""
    import SimpleITK as sitk

    pixel = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = int((re.search(r"(\d+)-bit", pixel) or ["", "8"])[1])
    needed = math.prod(geometry.size_xyz) * reader.GetNumberOfComponents() * bits // 8
    if volume_ending(path) in (".nhdr", ".mhd"):
        stored = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
    else:
        stored = path.stat().st_size
    if needed > _MOST_PACKED * stored:
        problem = f"cannot be read; truncated: its header promises {needed} bytes of voxels, the file has {stored}."
        raise VolumeError(path, problem, "Export or copy it again.")


def image_of(array_zyx: NDArray, geometry: Geometry) -> sitk.Image:
    """An image of these voxels and this geometry and nothing else: no names or dates of a source file.

    Args:
        array_zyx: The voxels, z, y, x.
        geometry: Where they lie.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(geometry.spacing_mm_xyz)
    image.SetOrigin(geometry.origin_mm_xyz)
    image.SetDirection(geometry.direction)
    return image


def writable_array(image: sitk.Image) -> NDArray:
    """The voxels of an image (z, y, x) as an array that writes into the image; it lives as long as the image does.

    SimpleITK only gives an array to read, or a copy. A volume is large, and taking new memory for it costs more time
    than anything that is done to its voxels.
    """
    import SimpleITK as sitk

    # This makes sure that no other image shares the voxels.
    view = sitk.GetArrayViewFromImage(image)
    address, _ = view.__array_interface__["data"]
    memory = (ctypes.c_char * view.nbytes).from_address(address)
    return np.frombuffer(memory, view.dtype).reshape(view.shape)


def oriented(image: sitk.Image, orientation: str = "RAS") -> sitk.Image:
    """The same voxels stored in the order of `orientation`, by flips and permutations only.

    The letters name where an increasing index leads, so "RAS" is the order of nibabel's closest canonical
    orientation and "LPS" that of an identity direction matrix.
    """
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, orientation)


def write_volume(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write a volume whole or not at all: beside the target first, then renamed over it.

    Raises:
        InputError: The ending of `path` is none of :data:`WRITTEN_ENDINGS`.
        SetupError: The file cannot be written.
    """
    import SimpleITK as sitk

    ending = volume_ending(path)
    if ending not in WRITTEN_ENDINGS:
        msg = f"{path}: volumes are written as one file. Name it {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg)
    with written_beside(path, ending=ending) as partial:
        try:
            sitk.WriteImage(image, str(partial), compress)
        except RuntimeError as error:
            msg = f"{path}: cannot be written ({_last_line(error)}). Check the folder and the space on the disk."
            raise SetupError(msg) from error
