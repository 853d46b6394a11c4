"""Decompress files and MetaImage volumes, and verify that they are complete.

Intel's ISA-L decompresses gzip and zlib streams three times as fast as zlib.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.headers import is_true, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.imaging.headers import HeaderText


GZIP_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip stream."""

_BLOCK_BYTES = 1 << 20


def is_gzip(path: Path) -> bool:
    """Return True if the content of a file is gzip, whatever its name.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file after decompression; fewer if it is shorter.

    Raises:
        RuntimeError: The compressed data are damaged.
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


def content(path: Path, needed: int) -> bytearray:
    """Return the first `needed` bytes of a file after decompression; a compressed file is verified to its end.

    Raises:
        RuntimeError: The file is shorter, or its compressed data are damaged.
    """
    return _filled(needed, unpacked(path) if is_gzip(path) else _plain(path))


_GZIP, _ZLIB = 31, 15
"""Window bits with which zlib's interface reads gzip, and a plain zlib stream."""


def unpacked(path: Path, *, start: int = 0, zlib: bool = False, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the content of a gzip stream in a file, which may consist of several members.

    Args:
        path: The file.
        start: Position of the stream in the file.
        zlib: True for a zlib stream, which has no gzip header.
        block_bytes: Largest number of bytes that are read, and that are yielded, at a time.

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
                    # In blocks, because a megabyte of a file can unpack to a gigabyte.
                    yield unpacker.decompress(block, block_bytes)
                    block = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                    if unpacker.eof and (zlib or not block.startswith(GZIP_MAGIC)):
                        return  # no further member follows
                    if unpacker.eof:
                        unpacker = isal_zlib.decompressobj(wbits=_GZIP)
            yield unpacker.flush()
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs call it an instance
            msg = "its compressed voxels are damaged"
            raise RuntimeError(msg) from error
    if not unpacker.eof:
        msg = "its compressed voxels end too early"
        raise RuntimeError(msg)


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
"""Numpy type of each type of voxels in MetaImage."""


def read_packed_meta(path: Path, text: HeaderText) -> sitk.Image:
    """Read a compressed MetaImage; ITK reads its geometry.

    Raises:
        RuntimeError: The file is damaged or truncated, or its compression is not supported.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    geometry, components = Geometry.of(reader), reader.GetNumberOfComponents()
    stored = _TYPES.get(text.fields.get("elementtype", "").lower().removeprefix("met_").removesuffix("_array"))
    file, start = voxel_file(path, text)
    if stored is None or file is None:
        msg = "the compression of its voxels is not supported"
        raise RuntimeError(msg)
    shape = (*geometry.shape_zyx, components) if components > 1 else geometry.shape_zyx
    needed = math.prod(shape) * np.dtype(stored).itemsize
    with file.open("rb") as opened:
        opened.seek(start)
        zlib = opened.read(2) != GZIP_MAGIC
    voxels = np.frombuffer(_filled(needed, unpacked(file, start=start, zlib=zlib)), np.uint8)
    big = any(is_true(text, name) for name in ("binarydatabyteordermsb", "elementbyteordermsb"))
    values = voxels.view(np.dtype(stored).newbyteorder(">" if big else "<")).reshape(shape)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return image_of(values, geometry)


def voxel_file(path: Path, text: HeaderText) -> tuple[Path | None, int]:
    """Return the file with the voxels of a MetaImage, and the position of the first voxel in it.

    The file is None if the voxels are in several files.
    """
    name = text.fields.get("elementdata file", "")
    if name.upper() == "LOCAL":
        return path, text.length
    if name.upper().split()[:1] == ["LIST"] or "%" in name:
        return None, 0
    skipped = numbers(text.fields.get("headersize", "")) or [0.0]
    return path.parent / name, max(0, int(skipped[0]))


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _filled(needed: int, blocks: Iterable[bytes]) -> bytearray:
    """Return the first `needed` bytes of blocks; the others are read too, so that the stream is verified to its end."""
    found = bytearray(needed)
    at = 0
    for block in blocks:
        kept = min(len(block), needed - at)
        found[at : at + kept] = memoryview(block)[:kept]
        at += kept
    if at < needed:
        msg = f"the file ends before its {needed} bytes of voxels"
        raise RuntimeError(msg)
    return found
