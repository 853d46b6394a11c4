"""Unpack gzip or zlib and check that nothing of it is missing: three times as fast as zlib, by Intel's ISA-L."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.header_text import is_true, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.imaging.header_text import HeaderText


GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB = 31, 15
"""The window bits by which zlib's interface reads gzip, and a bare zlib stream."""

_BLOCK_BYTES = 1 << 20


def is_gzip(path: Path) -> bool:
    """Return True if a file's content is gzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, or of what is packed in it; fewer if it ends before.

    Raises:
        RuntimeError: The packed data are damaged.
    """
    if not is_gzip(path):
        with path.open("rb") as file:
            return file.read(count)
    found = bytearray()
    for block in unpacked(path, block_bytes=1 << 14):
        found += block
        if len(found) >= count:
            break
    return bytes(found[:count])


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def unpacked(path: Path, *, start: int = 0, zlib: bool = False, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """Yield what a gzip stream in a file holds; it may consist of several members, one after another.

    Args:
        path: The file.
        start: Position of the stream in the file.
        zlib: The stream is one of zlib, without gzip's header.
        block_bytes: Most bytes that are read, and that are yielded, at a time.

    Raises:
        RuntimeError: The stream ends too early, or a checksum differs.
    """
    from isal import isal_zlib

    unpacker = isal_zlib.decompressobj(wbits=_ZLIB if zlib else _GZIP)
    with path.open("rb") as file:
        file.seek(start)
        try:
            while block := file.read(block_bytes):
                while block:
                    # In blocks: a megabyte of a file can stand for a gigabyte.
                    yield unpacker.decompress(block, block_bytes)
                    block = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                    if unpacker.eof and (zlib or not block.startswith(GZIP_MAGIC)):
                        return  # what follows is no further stream
                    if unpacker.eof:
                        unpacker = isal_zlib.decompressobj(wbits=_GZIP)
            yield unpacker.flush()
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs call it an instance
            msg = "its compressed voxels are damaged"
            raise RuntimeError(msg) from error
    if not unpacker.eof:
        msg = "its compressed voxels end too early"
        raise RuntimeError(msg)


def content(path: Path, needed: int) -> bytearray:
    """Return the first `needed` bytes of a file, or of what is packed in it, and check the rest of a packed one.

    Raises:
        RuntimeError: The file ends before, or the packed data are damaged.
    """
    found = bytearray(needed)
    at = 0
    for block in unpacked(path) if is_gzip(path) else _plain(path):
        kept = min(len(block), needed - at)
        found[at : at + kept] = memoryview(block)[:kept]
        at += kept
    if at < needed:
        msg = f"the file ends before its {needed} bytes"
        raise RuntimeError(msg)
    return found


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
