"""Decode the voxels of DICOM slices and stack them, in HU if the headers contain slope and intercept.

pydicom decodes each frame. Unlike ITK, it does not invert MONOCHROME1, which is about the display and not about the
values. Each slice is rescaled by its own slope and intercept.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.dicom_content import number, quiet_pydicom, text
from nnunet_femur.imaging.geometry import VolumeError, image_of
from nnunet_femur.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from nnunet_femur.imaging.dicom_series import Series
    from nnunet_femur.imaging.dicom_slices import Slice


def read_series(path: Path, series: Series) -> sitk.Image:
    """Return the slices of a series as one volume, in HU if the headers contain slope and intercept.

    Args:
        path: The file or folder that errors name.
        series: The slices.

    Raises:
        VolumeError: A slice is truncated or cannot be decoded, or the volume does not fit into memory.
    """
    try:
        voxels = np.empty(series.geometry.shape_zyx, value_type(series.slices))
        by_file: dict[Path, list[int]] = defaultdict(list)
        for index, each in enumerate(series.slices):
            by_file[each.file].append(index)
        for file, indices in by_file.items():
            wanted = {series.slices[index].frame: index for index in indices}
            for frame, plane in decoded(path, file, sorted(wanted)):
                _rescale(plane, series.slices[wanted[frame]], voxels[wanted[frame]])
        return image_of(voxels, series.geometry)
    except (MemoryError, RuntimeError) as error:
        # SimpleITK raises RuntimeError if it cannot allocate memory.
        raise VolumeError(path, "does not fit into memory.", KINDS["too-large"].remedy, code="too-large") from error


def value_type(slices: Sequence[Slice]) -> str:
    """Return the name of the smallest numpy type that can represent all values of the slices."""
    if any(not float(each.slope or 1).is_integer() or not float(each.intercept or 0).is_integer() for each in slices):
        return "float64"
    ends = [end * int(each.slope or 1) + int(each.intercept or 0) for each in slices for end in each.stored_range]
    low, high = min(ends), max(ends)
    rescaled = any(each.slope not in (None, 1) or each.intercept not in (None, 0) for each in slices)
    # HU are signed, and later calculations need at least 16 bits.
    names = ("int16", "int32") if rescaled else ("uint8", "int8", "uint16", "int16", "uint32", "int32")
    for name in names:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            return name
    return "float64"


def decoded(path: Path, file: Path, frames: Sequence[int]) -> Iterator[tuple[int, NDArray]]:
    """Yield the stored values of frames of a DICOM file, each with its number; shape rows x columns.

    Args:
        path: The file or folder that errors name.
        file: The DICOM file.
        frames: Numbers of the frames, from 0.

    Raises:
        VolumeError: The file is truncated, or its transfer syntax cannot be decoded.
    """
    import pydicom
    from pydicom.pixels import iter_pixels, pixel_array

    named = "" if path == file else f"contains {file.name}, which "
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(file, force=True)
            _complete(dataset)
            if number(dataset, "BitsAllocated") == 1 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                planes = _bits(dataset, frames)
            elif list(frames) == [0] and (number(dataset, "NumberOfFrames") or 1) == 1:
                planes = iter([pixel_array(dataset, raw=True)])
            else:
                planes = iter_pixels(dataset, raw=True, indices=list(frames))
            for frame, plane in zip(frames, planes, strict=True):
                yield frame, _without_unused_bits(plane, dataset)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise anything in a decoder
        problem = f"{named}cannot be decoded; it is truncated or damaged{_syntax(file)}."
        raise VolumeError(path, problem, "Copy it again, or export it uncompressed.") from error


def _rescale(plane: NDArray, one: Slice, out: NDArray) -> None:
    """Write a stored slice to `out`, rescaled by its slope and intercept."""
    if plane.shape != out.shape:
        raise VolumeError(one.file, "has another size than in its header.", KINDS["unreadable"].remedy)
    slope, intercept = one.slope or 1, one.intercept or 0
    if out.dtype.kind == "f":
        np.multiply(plane, slope, out=out, dtype=out.dtype)
        out += intercept
        return
    # The sum fits into the type, so an intermediate value that wraps around wraps back.
    if slope == 1:
        np.add(plane, int(intercept), out=out, dtype=out.dtype, casting="unsafe")
    else:
        np.multiply(plane, int(slope), out=out, dtype=out.dtype, casting="unsafe")
        out += int(intercept)


def _complete(dataset: Dataset) -> None:
    """Add the transfer syntax that pydicom detected to a file without file meta information."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _bits(dataset: Dataset, frames: Sequence[int]) -> Iterator[NDArray]:
    """Yield frames with one bit per voxel; unlike in pydicom's iterator, a frame may start within a byte."""
    rows, columns = int(number(dataset, "Rows") or 0), int(number(dataset, "Columns") or 0)
    size = rows * columns
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    if not dataset.original_encoding[1] and dataset["PixelData"].VR == "OW":
        packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    for frame in frames:
        first, last = frame * size, (frame + 1) * size
        bits = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")
        yield bits[first % 8 : first % 8 + size].reshape(rows, columns)


def _without_unused_bits(plane: NDArray, dataset: Dataset) -> Any:
    """Clear the bits of a voxel that are not part of its value: old files contain overlays in them.

    The highest bit of the value is its sign, if it is signed.
    """
    allocated, stored = number(dataset, "BitsAllocated") or 16, number(dataset, "BitsStored") or 16
    if plane.dtype.kind not in "iu" or stored >= allocated or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return plane
    high = number(dataset, "HighBit")
    bits, width = int(stored), plane.dtype.itemsize * 8
    low_bit = max(0, int(high) + 1 - bits) if high is not None else 0
    if bits >= width or low_bit + bits > width:
        return plane
    if low_bit == 0 and not _beyond(plane, bits):
        return plane
    above = width - bits - low_bit
    return (plane << above) >> (above + low_bit)


def _beyond(plane: NDArray, bits: int) -> bool:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if plane.dtype.kind == "i" else (0, (1 << bits) - 1)
    return bool(plane.size and (int(plane.min()) < low or int(plane.max()) > high))


def _syntax(file: Path) -> str:
    """Return the name of a file's compression for a message; empty if it is uncompressed or not in the standard."""
    import pydicom
    from pydicom.uid import UID

    try:
        with quiet_pydicom():
            uid = text(pydicom.dcmread(file, stop_before_pixels=True, force=True).file_meta, "TransferSyntaxUID")
    except Exception:  # noqa: BLE001
        return ""
    known = UID(uid)
    if not uid or known.name == uid or not known.is_transfer_syntax or not known.is_compressed:
        return ""
    return f", or its compression is not supported ({known.name})"
