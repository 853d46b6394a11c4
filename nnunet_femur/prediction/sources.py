"""The CTs that a user names: files, folders of files, folders of DICOM slices."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom import (
    case_stem,
    dicom_files,
    enhanced_files,
    holds_dicom,
    is_dicom_file,
    is_dicom_folder,
)
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
        path: A file, or a folder with the slices of one DICOM series in it or below.
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
        files = dicom_files(self.path) if self.path.is_dir() else [self.path]
        stats = [each.stat() for each in files]
        return {
            "files": len(stats),
            "bytes": sum(stat.st_size for stat in stats),
            "changed_ns": max((stat.st_mtime_ns for stat in stats), default=0),
        }


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """The CTs behind the paths of a command, each once, in their order.

    A folder stands for the volumes in it, but not 3D Slicer's segmentations. If it contains DICOM slices, these and the
    ones in folders below it are one further CT, called as the folder. Else each folder in it that contains DICOM files
    is a CT, and each of several enhanced files. An export of one study is a CT that is called as its folder. Cases of
    one name are told apart by the folders they are in.

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
    if not path.is_dir():
        return [path]
    inside = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    found = [
        each
        for each in inside
        if each.is_file()
        and volume_ending(each)
        and not each.name.lower().endswith(".seg.nrrd")
        # A DICOM file under such a name belongs to the series.
        and not is_dicom_file(each)
    ]
    enhanced = enhanced_files(path)
    if is_dicom_folder(path) and not enhanced:
        found.append(path)
    else:
        exports = [each for each in inside if each.is_dir() and holds_dicom(each)]
        if len(exports) == 1 and not found and not enhanced and not is_dicom_folder(exports[0]):
            # Folders for study and series have names that tell nothing.
            return [path]
        found = sorted([*found, *enhanced, *exports])
    if not found:
        msg = f"{path}: holds no CT. Give files ({', '.join(VOLUME_ENDINGS)}), or folders of them or of DICOM slices."
        raise InputError(msg)
    return found


def case_name(path: Path) -> str:
    """The name of a case: that of its file without ending and nnU-Net's channel, or of its folder."""
    if path.is_dir():
        return path.resolve().name
    ending = volume_ending(path)
    if ending is None and is_dicom_file(path):
        return case_stem(path)
    return _CHANNEL.sub("", path.name[: -len(ending)] if ending else path.stem)
