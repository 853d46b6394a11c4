"""nnU-Net's files of probabilities (``--save_probabilities``, ``--npz``), read in parts so that memory is bounded."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import stem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = ("probabilities.npy", "softmax.npy")
"""Names of the array in the file, of nnU-Net v2 and of its first versions."""

SLAB_BYTES = 1 << 23
"""Bytes that are read at a time."""

_DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ProbabilityVolume:
    """Probabilities of a case, in the order of axes in which nnU-Net read the CT.

    Attributes:
        channels: Number of channels: of classes, of which the first is background, or of regions.
        shape_zyx: Shape of a channel, the whole CT.
    """

    channels: int
    shape_zyx: tuple[int, int, int]
    _path: Path
    _file: IO[bytes]
    _dtype: np.dtype

    def slabs(self, channel: int = 0) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the probabilities of a channel, several slices at a time, with their place along the first axis.

        The file is read from its beginning to the end of the channel, so an open volume yields one channel.

        Args:
            channel: Number of the channel.

        Raises:
            InputError: The file is damaged (code "unreadable").
        """
        depth, height, width = self.shape_zyx
        slice_bytes = height * width * self._dtype.itemsize
        step = max(1, SLAB_BYTES // max(slice_bytes, 1))
        self._skip(channel * depth * slice_bytes)
        for start in range(0, depth, step):
            stop = min(start + step, depth)
            try:
                content = self._file.read((stop - start) * slice_bytes)
                values = np.frombuffer(content, self._dtype).reshape(stop - start, height, width).astype(np.float32)
            except _DAMAGED as error:
                raise _damaged(self._path, error) from error
            yield slice(start, stop), values

    def _skip(self, size: int) -> None:
        try:
            while size > 0:
                size -= len(self._file.read(min(size, SLAB_BYTES))) or size
        except _DAMAGED as error:
            raise _damaged(self._path, error) from error


def probability_file(mask: Path) -> Path | None:
    """Return the file of probabilities beside a predicted mask; None if there is none."""
    path = mask.parent / f"{stem(mask)}.npz"
    return path if path.is_file() else None


@contextmanager
def open_probabilities(path: Path) -> Iterator[ProbabilityVolume]:
    """Open a file of probabilities.

    Args:
        path: The file.

    Raises:
        InputError: The file is damaged (code "unreadable"), or contains other values (code "invalid-file").
    """
    with ExitStack() as stack:
        try:
            volume = _opened(path, stack)
        except _DAMAGED as error:
            raise _damaged(path, error) from error
        yield volume


def _damaged(path: Path, error: Exception) -> InputError:
    msg = f"{path}: damaged or incomplete ({type(error).__name__}). Predict again with --save_probabilities."
    return InputError(msg, code="unreadable")


def _opened(path: Path, stack: ExitStack) -> ProbabilityVolume:
    """Read the header of the array, and check it."""
    archive = stack.enter_context(zipfile.ZipFile(path))
    name = next((name for name in NAMES if name in archive.namelist()), None)
    if name is None:
        msg = f"{path}: contains no probabilities. Predict again with --save_probabilities."
        raise InputError(msg, code="invalid-file")
    file = stack.enter_context(archive.open(name))
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = reader(file)
    # In Fortran's order, the channels of a voxel follow each other, so a channel cannot be read by itself.
    if len(shape) != 4 or dtype.kind != "f" or not shape[0] or fortran:
        order = ", in Fortran's order" if fortran else ""
        msg = f"{path}: must contain floats of shape (channels, z, y, x), got {dtype} of shape {shape}{order}."
        raise InputError(msg, code="invalid-file")
    return ProbabilityVolume(shape[0], shape[1:], path, file, dtype)
