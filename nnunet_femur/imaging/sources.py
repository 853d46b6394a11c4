"""CTs and masks as users name them: a file, a header with its data files, a DICOM folder, or a folder of these.

:func:`find_sources` lists the CTs that a command was given, and :func:`find_masks` the masks of a folder by case.
:func:`parts` and :func:`digest` return the files of a CT or a mask and their checksum. :func:`read_source` reads one,
and returns a finding instead of raising an error.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.findings import about
from nnunet_femur.imaging.dicom import enhanced_files
from nnunet_femur.imaging.dicom_files import (
    dicom_files,
    dicom_format,
    files_below,
    holds_dicom,
    is_dicom_file,
    is_dicom_folder,
)
from nnunet_femur.imaging.geometry import VOLUME_ENDINGS, VolumeError, is_segmentation_name, stem, volume_ending
from nnunet_femur.imaging.headers import data_files
from nnunet_femur.imaging.reading import read_ct, read_ct_header, read_mask, read_mask_header
from nnunet_femur.kinds import finding
from nnunet_femur.records import file_state, sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.reading import SourceHeader, Volume


_CHANNEL = re.compile(r"_0000$")
"""Suffix that nnU-Net adds to the name of a case, for its first channel."""


@dataclass(frozen=True)
class Source:
    """One CT as the user named it.

    Attributes:
        case: Name of the case, which the names of its outputs start with.
        path: A file, or a folder with the slices of one DICOM series in it or below it.

    Example:
        >>> source = Source("L1", Path("ct.nrrd"))
        >>> source.read().image.GetSize()
        (32, 32, 48)
        >>> source.state()["files"]
        1
    """

    case: str
    path: Path

    def read(self, *, any_values: bool = False) -> Volume:
        """Return the CT, in HU if its header contains a slope and an intercept.

        Args:
            any_values: Accept other modalities than CT.

        Raises:
            VolumeError: The CT cannot be read, is not a volume of grey values, or contains NaN or infinite values.
        """
        import SimpleITK as sitk

        volume = read_ct(self.path, any_values=any_values)
        voxels = sitk.GetArrayViewFromImage(volume.image)
        if voxels.dtype.kind not in "iuf":
            raise VolumeError(self.path, f"has voxels of type {voxels.dtype}.", "Export the CT itself.")
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            raise VolumeError(self.path, "contains NaN or infinite values.", "Export it again.")
        return volume

    def state(self) -> dict[str, Any]:
        """Return number, bytes and latest change of the files of the CT, which show whether it has changed.

        DICOM files that this package writes do not count, since they may be written into the folder.

        Raises:
            OSError: A file does not exist.
        """
        if not self.path.is_dir():
            return file_state(parts(self.path))
        return file_state([file for file in dicom_files(self.path) if dicom_format(file) is None])


def find_sources(paths: Sequence[Path | str]) -> list[Source]:
    """Return the CTs in files and folders, each once, in the order of the paths.

    A folder means the volumes in it, without 3D Slicer's segmentations. If it contains DICOM slices, these and
    the slices in folders below it are one more CT, named as the folder. Otherwise each folder in it that contains DICOM
    files is a CT, and so is each of several enhanced (multi-frame) files. An export of a single study is a CT that is
    named as the given folder. DICOM files that this package writes do not count. Cases of the same name get the name of
    their folder as a prefix.

    Args:
        paths: Files, DICOM folders, or folders of these.

    Raises:
        InputError: A path does not exist ("not-found"), no path is given or a folder contains no CT ("no-cases"), or
            two CTs have the same name ("duplicate-case").

    Example:
        >>> find_sources(["ct.nrrd"])
        [Source(case='ct', path=...Path('ct.nrrd'))]
        >>> [source.case for source in find_sources(["ct.nrrd", "prediction.nrrd"])]
        ['ct', 'prediction']
    """
    if not paths:
        msg = "No path of a CT was given. Give files, DICOM folders, or folders of these."
        raise InputError(msg, code="no-cases")
    found: dict[Path, Source] = {}
    for path in map(Path, paths):
        for each in _volumes(path):
            found.setdefault(each.resolve(), Source(case_name(each), each))
    sources = list(found.values())
    counts = Counter(source.case for source in sources)
    sources = [_with_folder(source) if counts[source.case] > 1 else source for source in sources]
    counts = Counter(source.case for source in sources)
    twice = [str(source.path) for source in sources if counts[source.case] > 1]
    if twice:
        msg = f"{', '.join(twice)}: these CTs have the same name. Rename them, or write each to another folder."
        raise InputError(msg, code="duplicate-case")
    return sources


def case_name(path: Path) -> str:
    """Return the name of a case: that of its folder, or of its file without ending and nnU-Net's channel.

    Example:
        >>> case_name(Path("L1_0000.nii.gz"))
        'L1'
    """
    return path.resolve().name if path.is_dir() else _CHANNEL.sub("", stem(path))


class MaskFiles(NamedTuple):
    """The masks of a folder.

    Attributes:
        files: Path of the mask by case.
        ambiguous: Message by case for which the folder contains several masks; such a case is not in `files`.
    """

    files: dict[str, Path]
    ambiguous: dict[str, str]


def find_masks(folder: Path) -> MaskFiles:
    """Return the masks in a folder by case: volumes, segmentations, DICOM files and DICOM folders.

    Hidden files and nnU-Net's probabilities are ignored. If a case has a mask and a segmentation (``.seg.nrrd``), as
    ``nnfemur predict`` writes them, the mask is used.

    Raises:
        InputError: The folder cannot be read.

    Example:
        >>> find_masks(Path(".")).files["reference"].name
        'reference.nrrd'
    """
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        for path in sorted(folder.iterdir()):
            if (case := mask_case(path)) is not None:
                found[case].append(path)
    except OSError as error:
        msg = f"{folder}: cannot be read ({error.strerror}). Check its permissions."
        raise InputError(msg, code="unreadable") from error
    for case, paths in found.items():
        found[case] = [path for path in paths if not is_segmentation_name(path)] or paths
    ambiguous = {
        case: f"{paths[0]}: also {', '.join(path.name for path in paths[1:])} for the same case. Keep one of them."
        for case, paths in found.items()
        if len(paths) > 1
    }
    return MaskFiles({case: paths[0] for case, paths in found.items() if case not in ambiguous}, ambiguous)


def mask_case(path: Path) -> str | None:
    """Return the case of a mask by its name, in Unicode's form NFC; None for a file that is not a mask."""
    if path.name.startswith("."):
        return None
    if volume_ending(path) is not None or is_dicom_file(path):
        name = stem(path)
    elif is_dicom_folder(path):
        name = path.name
    else:
        return None
    return unicodedata.normalize("NFC", name)


def parts(path: Path) -> list[Path]:
    """Return all files of a volume: the file itself and the data files of a header, or the files of a DICOM folder.

    Hidden files are left out. If a header names its data files by a pattern or not at all, every file of its folder
    counts.

    Example:
        >>> parts(Path("ct.nrrd"))
        [...Path('ct.nrrd')]
    """
    return sorted(files_below(path)) if path.is_dir() else [path, *data_files(path)]


def digest(path: Path) -> str:
    """Return the SHA-256 of all files of a volume, in hexadecimal; of a single file, the file's own.

    Raises:
        OSError: A file cannot be read.
    """
    files = parts(path)
    if files == [path]:
        return sha256(path)
    root = path if path.is_dir() else path.parent
    listing = "".join(f"{sha256(file)}  {file.relative_to(root).as_posix()}\n" for file in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def read_source_header(root: Path, file: Path, *, mask: bool = False, ct: Path | None = None) -> SourceHeader | Finding:
    """Return the header of a CT or a mask, or the finding that it cannot be used.

    Args:
        root: The source folder.
        file: A volume or a DICOM folder, relative to `root`, as findings name it.
        mask: True to read a mask, False to read a CT.
        ct: The CT of a mask, relative to `root`; an RTSTRUCT may need it.
    """
    try:
        header = read_mask_header(root / file, ct=_below(root, ct)) if mask else read_ct_header(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(header, findings=about(file, header.findings))


def read_source(
    root: Path, file: Path, *, mask: bool = False, ct: Path | None = None
) -> tuple[SourceHeader, sitk.Image] | Finding:
    """Return header and voxels of a CT or a mask, or the finding that it cannot be used.

    Args:
        root: The source folder.
        file: A volume or a DICOM folder, relative to `root`, as findings name it.
        mask: True to read a mask, False to read a CT.
        ct: The CT of a mask, relative to `root`; an RTSTRUCT may need it.
    """
    try:
        volume = read_mask(root / file, ct=_below(root, ct)) if mask else read_ct(root / file)
    except VolumeError as error:
        return _unusable(error, file)
    return replace(volume.header, findings=about(file, volume.header.findings)), volume.image


def _below(root: Path, file: Path | None) -> Path | None:
    return None if file is None else root / file


def _with_folder(source: Source) -> Source:
    return replace(source, case=f"{source.path.resolve().parent.name}_{source.case}")


def _volumes(path: Path) -> list[Path]:
    """Return the CTs that a path means, in the order of their names; see :func:`find_sources`."""
    if not path.exists():
        msg = f"{path}: not found. Check the path."
        raise InputError(msg, code="not-found")
    if not path.is_dir():
        return [path]
    inside = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    found = [each for each in inside if each.is_file() and _is_volume_of_its_own(each)]
    enhanced = enhanced_files(path)
    if is_dicom_folder(path, outputs=False) and not enhanced:
        found.append(path)
    else:
        exports = [each for each in inside if each.is_dir() and holds_dicom(each, outputs=False)]
        if len(exports) == 1 and not found and not enhanced and not is_dicom_folder(exports[0]):
            # The folders of study and series are usually named by numbers.
            return [path]
        found = sorted([*found, *enhanced, *exports])
    if not found:
        endings = ", ".join(VOLUME_ENDINGS)
        msg = f"{path}: contains no CT. Give files ({endings}), DICOM folders, or folders of these."
        raise InputError(msg, code="no-cases")
    return found


def _is_volume_of_its_own(path: Path) -> bool:
    # A DICOM file with the ending of a volume is part of a series.
    return volume_ending(path) is not None and not is_segmentation_name(path) and not is_dicom_file(path)


def _unusable(error: VolumeError, file: Path) -> Finding:
    return finding(error.code, file, error.problem, error.remedy)
