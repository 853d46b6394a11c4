"""CTs and masks as a user names them: a file, a header with its data files, or a folder of DICOM slices."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.findings import about
from nnunet_femur.imaging.dicom import (
    case_stem,
    dicom_files,
    enhanced_files,
    files_below,
    holds_dicom,
    is_dicom_file,
    is_dicom_folder,
)
from nnunet_femur.imaging.geometry import VOLUME_ENDINGS, VolumeError, volume_ending
from nnunet_femur.imaging.header_text import is_detached
from nnunet_femur.imaging.reading import read_ct, read_ct_header, read_mask, read_mask_header
from nnunet_femur.kinds import finding
from nnunet_femur.records import sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.reading import SourceHeader, Volume


_DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in other files; other names are used for them, too."""


def parts(path: Path) -> list[Path]:
    """Return all files of a volume: itself, a detached header's data files, or the files in and below a DICOM folder.

    Hidden files are left out. Where a header names its data files by a pattern or not at all, every file of its
    folder counts.
    """
    if path.is_dir():
        return sorted(files_below(path))
    return [path, *_data_files(path)] if _is_detached(path) else [path]


def _is_detached(path: Path) -> bool:
    ending = volume_ending(path)
    try:
        return ending in _DETACHED or (ending in (".nrrd", ".mha") and path.is_file() and is_detached(path))
    except OSError:
        return False


def _data_files(header: Path) -> list[Path]:
    try:
        text = header.read_bytes()[: 1 << 20].decode("latin-1")
        beside = sorted(file for file in header.parent.iterdir() if file != header and not file.name.startswith("."))
    except OSError:
        return []
    others = [file for file in beside if file.is_file() and volume_ending(file) not in _DETACHED]
    named = [file for file in others if file.name in text]
    return named if named and "%" not in text else others


def digest(path: Path) -> str:
    """SHA-256 of everything a volume consists of; of a single file, the file's own.

    Raises:
        OSError: A file cannot be read.
    """
    files = parts(path)
    if files == [path]:
        return sha256(path)
    root = path if path.is_dir() else path.parent
    listing = "".join(f"{sha256(file)}  {file.relative_to(root).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def read_source_header(root: Path, file: Path, *, mask: bool = False) -> SourceHeader | Finding:
    """Return the header of a volume or of a folder of DICOM slices, or the finding that it cannot be used."""
    try:
        header = read_mask_header(root / file) if mask else read_ct_header(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(header, findings=about(file, header.findings))


def read_source(root: Path, file: Path, *, mask: bool = False) -> tuple[SourceHeader, sitk.Image] | Finding:
    """Return header and voxels of a volume or of DICOM slices, or the finding that it cannot be used."""
    try:
        volume = read_mask(root / file) if mask else read_ct(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(volume.header, findings=about(file, volume.header.findings)), volume.image


def _unusable(error: VolumeError, file: Path) -> Finding:
    return finding(error.code, file, error.problem, error.remedy)


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


_SEGMENTATION = ".seg.nrrd"


def mask_case(path: Path) -> str | None:
    """Return the case of a mask by its name, in Unicode's form NFC; None for a file that is not a mask."""
    if path.name.startswith("."):
        return None
    ending = volume_ending(path)
    if ending is not None:
        name = path.name[: -len(_SEGMENTATION if path.name.lower().endswith(_SEGMENTATION) else ending)]
    elif is_dicom_file(path):
        name = case_stem(path)
    elif is_dicom_folder(path):
        name = path.name
    else:
        return None
    return unicodedata.normalize("NFC", name)


class MaskFiles(NamedTuple):
    """The masks of a folder.

    Attributes:
        files: File by case.
        ambiguous: Reason by case why none of its files can be taken: several are of this case.
    """

    files: dict[str, Path]
    ambiguous: dict[str, str]


def find_masks(folder: Path) -> MaskFiles:
    """Return the masks in a folder, by case: volumes, segmentations, DICOM files and folders of them.

    Hidden files and nnU-Net's probabilities are none. Where a case has a mask and a segmentation (``.seg.nrrd``), as
    ``nnfemur predict`` writes them, the mask counts.

    Raises:
        InputError: The folder cannot be read.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        for path in sorted(folder.iterdir()):
            if (case := mask_case(path)) is not None:
                found[case].append(path)
    except OSError as error:
        msg = f"{folder}: cannot be read ({error.strerror}). Check its permissions."
        raise InputError(msg) from error
    for case, paths in found.items():
        plain = [path for path in paths if not path.name.lower().endswith(_SEGMENTATION)]
        found[case] = plain or paths
    ambiguous = {
        case: f"{paths[0]}: {', '.join(path.name for path in paths[1:])} is a mask of the same case. Keep one of them."
        for case, paths in found.items()
        if len(paths) > 1
    }
    return MaskFiles({case: paths[0] for case, paths in found.items() if case not in ambiguous}, ambiguous)
