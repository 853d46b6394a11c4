"""Read the voxels of a packed MetaImage.

Of a damaged or truncated one ITK returns what it happens to find in memory, without an error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.header_text import is_true, numbers
from nnunet_femur.imaging.unpacking import GZIP_MAGIC, unpacked
from nnunet_femur.volumes import Geometry, image_of

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.imaging.header_text import HeaderText

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "long": "i4",
    "ulong": "u4",
    "long_long": "i8",
    "ulong_long": "u8",
    "float": "f4",
    "double": "f8",
}
"""Types of MetaImage's voxels as numpy's."""


def read_packed_meta(path: Path, text: HeaderText) -> sitk.Image:
    """Return the voxels of a packed MetaImage; the geometry is that of ITK.

    Raises:
        RuntimeError: It is damaged or truncated, or packed in a way that is not read.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    geometry, components = Geometry.of(reader), reader.GetNumberOfComponents()
    stored = _TYPES.get(text.fields.get("elementtype", "").lower().removeprefix("met_").removesuffix("_array"))
    file, start = voxel_file(path, text)
    if stored is None or file is None:
        msg = "its voxels are packed in a way that is not read"
        raise RuntimeError(msg)
    shape = (*geometry.shape_zyx, components) if components > 1 else geometry.shape_zyx
    needed = math.prod(shape) * np.dtype(stored).itemsize
    with file.open("rb") as opened:
        opened.seek(start)
        zlib = opened.read(2) != GZIP_MAGIC
    voxels = np.zeros(needed, np.uint8)
    at = 0
    for block in unpacked(file, start=start, zlib=zlib):
        kept = min(len(block), needed - at)
        voxels[at : at + kept] = np.frombuffer(block, np.uint8, kept)
        at += kept
    if at < needed:
        msg = f"the file ends before its {needed} bytes of voxels"
        raise RuntimeError(msg)
    big = any(is_true(text, name) for name in ("binarydatabyteordermsb", "elementbyteordermsb"))
    values = voxels.view(np.dtype(stored).newbyteorder(">" if big else "<")).reshape(shape)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return image_of(values, geometry)


def voxel_file(path: Path, text: HeaderText) -> tuple[Path | None, int]:
    """Return the one file with a MetaImage's voxels and their place in it; None where there are several files."""
    name = text.fields.get("elementdata file", "")
    if name.upper() == "LOCAL":
        return path, text.length
    if name.upper().split()[:1] == ["LIST"] or "%" in name:
        return None, 0
    skipped = numbers(text.fields.get("headersize", "")) or [0.0]
    return path.parent / name, max(0, int(skipped[0]))
