"""The CTs that a user names: files, folders of files, folders of DICOM slices."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom import is_dicom_folder
from nnunet_femur.imaging.reading import read_ct
from nnunet_femur.volumes import VOLUME_ENDINGS, VolumeError, volume_ending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.imaging.reading import Volume

_CHANNEL = re.compile(r"_0000$")
"""What nnU-Net puts behind the name of a case, for its first channel."""


@dataclass(frozen=True)
class Source:
    """One CT.

    Attributes:
        case: Its name, by which the outputs are called.
        path: A file, or a folder with the slices of one DICOM series.
    """

    case: str
    path: Path

    def read(self, *, any_values: bool = False) -> Volume:
        """Return the CT, in HU where its header has a slope and an intercept.

        Args:
            any_values: Another modality than CT is read, too.

        Raises:
            VolumeError: It cannot be read, is not a volume of grey values, or has values that are no numbers.
        """
        import SimpleITK as sitk

        volume = read_ct(self.path, any_values=any_values)
        voxels = sitk.GetArrayViewFromImage(volume.image)
        if voxels.dtype.kind not in "iuf":
            raise VolumeError(self.path, "has values that are no grey values.", "Export the CT itself.")
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            raise VolumeError(self.path, "has voxels whose value is no number.", "Export it again.")
        return volume

    def state(self) -> dict[str, float]:
        """Number, bytes and latest change of its files, which differ once any of them is another."""
        files = [each for each in self.path.iterdir() if each.is_file()] if self.path.is_dir() else [self.path]
        stats = [each.stat() for each in files]
        return {
            "files": len(stats),
            "bytes": sum(stat.st_size for stat in stats),
            "changed_ns": max((stat.st_mtime_ns for stat in stats), default=0),
        }


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """The CTs behind the paths of a command, each once, in their order.

    A folder stands for the volumes in it, but not 3D Slicer's segmentations, and for the folders in it that hold DICOM
    slices, or for the series if it holds slices itself. Cases of one name are told apart by the folders they lie in.

    Raises:
        InputError: A path does not exist, or there is no CT, or two would have one name.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        for each in _volumes(path):
            found.setdefault(each.resolve(), Source(case_name(each), each))
    sources = list(found.values())
    counts = Counter(source.case for source in sources)
    sources = [_with_folder(source) if counts[source.case] > 1 else source for source in sources]
    counts = Counter(source.case for source in sources)
    twice = [str(source.path) for source in sources if counts[source.case] > 1]
    if twice:
        msg = f"These CTs would have one name: {', '.join(twice)}. Rename them, or predict them into other folders."
        raise InputError(msg)
    return sources


def _with_folder(source: Source) -> Source:
    return replace(source, case=f"{source.path.resolve().parent.name}_{source.case}")


def _volumes(path: Path) -> list[Path]:
    if not path.exists():
        msg = f"{path}: there is no such file or folder. Check the path."
        raise InputError(msg)
    if path.is_file() or is_dicom_folder(path):
        return [path]
    inside = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    found = [
        each
        for each in inside
        if (each.is_file() and volume_ending(each) and not each.name.lower().endswith(".seg.nrrd"))
        or (each.is_dir() and is_dicom_folder(each))
    ]
    if not found:
        msg = f"{path}: holds no CT. Give files ({', '.join(VOLUME_ENDINGS)}), or folders of them or of DICOM slices."
        raise InputError(msg)
    return found


def case_name(path: Path) -> str:
    """The name of a case: that of its file without ending and nnU-Net's channel, or of its folder."""
    if path.is_dir():
        return path.resolve().name
    ending = volume_ending(path)
    return _CHANNEL.sub("", path.name[: -len(ending)] if ending else path.stem)
