"""Write volumes: any format by ITK, NRRD faster and with a checksum, and the header of 3D Slicer's segmentations.

Compression takes most of the time of a conversion. Intel's ISA-L compresses a CT in a third of the time of ITK's zlib
at ITK's level. The file is 1 to 2 % larger, and every program that reads gzip NRRD can read it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.atomic_files import cannot_write, start_flush, written_beside
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.sides import LEFT, RIGHT, side_in_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.imaging.geometry import Geometry


WRITTEN_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")
"""File endings that can be written: formats of one file, which a rename can put in place."""


def write_volume(image: sitk.Image, path: Path | str, *, compress: bool = True) -> None:
    """Write a volume to a file atomically.

    Args:
        image: The volume.
        path: The file, which ends in one of :data:`WRITTEN_ENDINGS`; its folder must exist.
        compress: True to compress the voxels, if the format allows it.

    Raises:
        InputError: The ending of `path` is not supported ("invalid-name").
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> from nnunet_femur.imaging import read_ct
        >>> write_volume(read_ct("ct.nrrd").image, "copy.nii.gz")
        >>> read_ct("copy.nii.gz").header.geometry.differences(read_ct("ct.nrrd").header.geometry)
        []
        >>> Path("copy.nii.gz").unlink()
    """
    import SimpleITK as sitk

    path = Path(path)
    ending = volume_ending(path)
    if ending not in WRITTEN_ENDINGS:
        msg = f"{path}: volumes cannot be written with this ending. Use {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg, code="invalid-name")
    with written_beside(path, ending=ending) as partial:
        try:
            sitk.WriteImage(image, str(partial), compress)
        except RuntimeError as error:
            raise cannot_write(path, error) from error


_LEVEL = 2
"""Level of compression of ISA-L, 0 to 3."""


_GZIP = 31
"""Window bits with which zlib's interface writes a gzip header, without a file name or a time."""

_BLOCK_BYTES = 1 << 22

_TYPES = {"int16": "short", "uint8": "unsigned char"}


def write_nrrd(array_zyx: NDArray, geometry: Geometry, path: Path | str) -> str:
    """Write voxels and their geometry to an NRRD file, atomically and without other metadata.

    Args:
        array_zyx: The voxels, z, y, x; int16 or uint8.
        geometry: Their geometry.
        path: The file to write, ``.nrrd``; its folder must exist.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> from nnunet_femur.imaging import Geometry, read_mask
        >>> grid = Geometry((4, 3, 2), (0.5, 0.5, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> checksum = write_nrrd(np.ones(grid.shape_zyx, np.uint8), grid, "written.nrrd")
        >>> len(checksum), read_mask("written.nrrd").image.GetSize()
        (64, (4, 3, 2))
        >>> Path("written.nrrd").unlink()
    """
    from isal import isal_zlib

    path = Path(path)
    voxels = np.ascontiguousarray(array_zyx).data.cast("B")
    packer = isal_zlib.compressobj(level=_LEVEL, wbits=_GZIP)
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        """Yield the bytes of the file: the header, then the packed voxels."""
        yield _header(array_zyx.dtype.name, geometry).encode("ascii")
        for start in range(0, len(voxels), _BLOCK_BYTES):
            yield packer.compress(voxels[start : start + _BLOCK_BYTES])
        yield packer.flush()

    try:
        # The caller waits for the disk once, for the whole dataset.
        with written_beside(path, durable=False) as partial, partial.open("wb") as file:
            for block in blocks():
                digest.update(block)
                file.write(block)
        start_flush(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return digest.hexdigest()


BONE_COLOUR = (0.945098, 0.839216, 0.568627)
"""Colour of bone in 3D Slicer: red, green, blue from 0 to 1."""

RIGHT_COLOUR = (0.564706, 0.768627, 0.854902)
"""Colour of the right femur beside the left one, which has the colour of bone."""

_TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^71341001^Femur~{side}~Anatomic codes - DICOM master list~^^~^^|"
)
_SIDE_CODES = {LEFT: "SCT^7771000^Left", RIGHT: "SCT^24028007^Right"}

FEMUR_SEGMENTS = {"femur_left": 1, "femur_right": 2, "femur": 3}
"""Segments of a mask with sides and their values: TotalSegmentator's names, and a femur of unknown side."""


def segment_fields(mask_zyx: NDArray, segments: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the header fields with which 3D Slicer opens a mask as a segmentation.

    Args:
        mask_zyx: The mask, z, y, x; it may be empty.
        segments: Value of each segment by name. Those without a voxel are left out, unless all are. Default: one
            segment "femur" with the value 1.

    Example:
        >>> sides = np.array([[[0, 1, 1, 0, 2]]], np.uint8)
        >>> fields = segment_fields(sides, FEMUR_SEGMENTS)
        >>> fields["Segment1_Name"], fields["Segment1_LabelValue"], fields["Segment1_Extent"]
        ('femur_right', '2', '4 4 0 0 0 0')
    """
    named = segments or {"femur": 1}
    boxes = {name: box_of(mask_zyx == value if segments else mask_zyx) for name, value in named.items()}
    filled = {name: box for name, box in boxes.items() if not is_empty(box)}
    boxes = filled or boxes
    fields = {}
    for index, (name, box) in enumerate(boxes.items()):
        for key, value in _segment(index, name, named[name], box).items():
            fields[f"Segment{index}_{key}"] = value
    return {
        **fields,
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ConversionParameters": "",
        # Renamed in 3D Slicer 5.3; older versions read the first of the two.
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }


def _segment(index: int, name: str, value: int, box: Box) -> dict[str, str]:
    extent = [(0, -1)] * 3 if is_empty(box) else [(part.start, part.stop - 1) for part in box[::-1]]
    side = side_in_name(name)
    colour = RIGHT_COLOUR if side == RIGHT else BONE_COLOUR
    return {
        "ID": f"Segment_{index + 1}",
        "Name": name,
        "NameAutoGenerated": "0",
        "Color": " ".join(f"{part:g}" for part in colour),
        "ColorAutoGenerated": "0",
        "Extent": " ".join(f"{first} {last}" for first, last in extent),
        "LabelValue": str(value),
        "Layer": "0",
        "Tags": f"TerminologyEntry:{_TERMINOLOGY.format(side=_SIDE_CODES.get(side, '^^'))}",
    }


def _header(dtype: str, geometry: Geometry) -> str:
    columns = np.reshape(geometry.direction, (3, 3)).T * np.reshape(geometry.spacing_mm_xyz, (3, 1))
    lines = (
        "NRRD0004",
        f"type: {_TYPES[dtype]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, geometry.size_xyz))}",
        f"space directions: {' '.join(_vector(column) for column in columns)}",
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: gzip",
        f"space origin: {_vector(np.array(geometry.origin_mm_xyz))}",
    )
    return "\n".join(lines) + "\n\n"


def _vector(numbers: NDArray[np.float64]) -> str:
    # 17 digits restore the same double; adding 0 turns -0 into 0.
    return "(" + ",".join(f"{float(number) + 0.0:.17g}" for number in numbers) + ")"
