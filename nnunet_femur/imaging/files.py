"""Read one volume from a file: NRRD, MetaImage or NIfTI, recognised by its content."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from nnunet_femur.imaging.geometry import VolumeError, volume_ending
from nnunet_femur.imaging.headers import Header, refuse, refuse_dimensions
from nnunet_femur.imaging.itk_files import read_itk, read_itk_header
from nnunet_femur.imaging.itk_warnings import collected_warnings, warning_findings
from nnunet_femur.imaging.nifti import is_analyze, nifti_version, read_nifti, read_nifti_header
from nnunet_femur.imaging.unpacking import GZIP_MAGIC, first_bytes, is_gzip
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.imaging.geometry import Geometry

_PICTURE = "Export the CT or the mask itself, not a picture of it."
_FORMAT = "Save it as .nrrd or .nii.gz."

_FORMATS = {
    "NRRD": (".nrrd", ".nhdr"),
    "MetaImage": (".mha", ".mhd"),
    "NIfTI": (".nii.gz", ".nii"),
}
"""Supported formats, and the endings of their files."""

_OTHER_CONTENTS = (
    (b"PK\x03\x04", "a ZIP archive", "Unpack it."),
    (b"\x89PNG", "a PNG picture", _PICTURE),
    (b"\xff\xd8\xff", "a JPEG picture", _PICTURE),
    (b"II*\0", "a TIFF picture", _PICTURE),
    (b"MM\0*", "a TIFF picture", _PICTURE),
    (b"BM", "a BMP picture", _PICTURE),
    (b"# vtk DataFile", "a VTK file", _FORMAT),
    (b"\x89HDF", "an HDF5 or MINC file", _FORMAT),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS in place of the file",
        "Fetch the file itself with git lfs pull.",
    ),
    (b"/annex/objects/", "a pointer of git-annex in place of the file", "Fetch the file itself with git annex get."),
    (b"<", "a web page or an XML file", "Download or export the volume itself."),
    (b"BZh", "compressed with bzip2", "Unpack it."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it."),
    (b"Rar!", "a RAR archive", "Unpack it."),
)
"""First bytes of files that are not volumes, their format, and the fix."""

_META = re.compile(rb"\s*(ObjectType|NDims)\s*=", re.IGNORECASE)


def file_format(path: Path) -> str | None:
    """Return the format of a file by its content: "NRRD", "MetaImage", "NIfTI", or None for other files.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        head = first_bytes(path, 1024)
    except RuntimeError:
        head = b""
    if head.startswith(b"NRRD") and not is_gzip(path):
        return "NRRD"
    if nifti_version(head) is not None:
        return "NIfTI"
    return "MetaImage" if _META.match(head) and not is_gzip(path) else None


def read_header(path: Path) -> Header:
    """Return the header of a three-dimensional volume; it may have several values per voxel.

    Raises:
        VolumeError: The file is missing, is not a volume, is not three-dimensional, does not contain its spacing, or
            its geometry is invalid.
    """
    return _read(path, voxels=False)[0]


def read_geometry(path: Path) -> Geometry:
    """Return the geometry of a volume with one value per voxel, from its header alone.

    Raises:
        VolumeError: As :func:`read_header`, or there are several values per voxel.
    """
    header = read_header(path)
    if header.components != 1:
        refuse_dimensions(path, 3, header.components)
    return header.geometry


def read_volume(path: Path) -> sitk.Image:
    """Return a volume with one value per voxel.

    Raises:
        VolumeError: As :func:`read_geometry`, or the voxels are truncated or damaged.
    """
    header, image = read_with_header(path)
    if header.components != 1:
        refuse_dimensions(path, 3, header.components)
    return image


def read_with_header(path: Path) -> tuple[Header, sitk.Image]:
    """Return header and voxels of a three-dimensional volume; it may have several values per voxel.

    Raises:
        VolumeError: As :func:`read_header`, or the voxels are truncated or damaged.
    """
    return cast("tuple[Header, sitk.Image]", _read(path, voxels=True))


def _read(path: Path, *, voxels: bool) -> tuple[Header, sitk.Image | None]:
    """Return the header of a volume with all findings, and its voxels if they are wanted."""
    image = None
    with _readable(path), collected_warnings() as warnings:
        found = _require_format(path)
        if found == "NIfTI":
            header = read_nifti_header(path)
            image = read_nifti(path) if voxels else None
        else:
            header = read_itk_header(path)
            if voxels:
                image = read_itk(path)
                image.SetOrigin(header.geometry.origin_mm_xyz)
                image.SetDirection(header.geometry.direction)
    findings = [*header.findings, *warning_findings(warnings, path)]
    if found == "NIfTI" and is_gzip(path) != path.name.lower().endswith(".gz"):
        packed = "compressed with gzip" if is_gzip(path) else "not compressed with gzip"
        findings.append(finding("ending", path, f"is {packed}, contrary to its ending. It was read by its content."))
    return replace(header, findings=tuple(findings)), image


def _require_format(path: Path) -> str:
    """Return the format of a file, or refuse it."""
    found = file_format(path)
    ending = volume_ending(path)
    if found is None:
        if not is_gzip(path) and is_analyze(first_bytes(path, 348)):
            problem = "is Analyze 7.5, or a NIfTI header without its voxels, so left and right are not defined."
            refuse(path, "unreadable", problem, "Convert it to .nii.gz with a program that knows its orientation.")
        _refuse_other(path)
        refuse(path, "unreadable", "is damaged, or is not NRRD, MetaImage or NIfTI.")
    endings = _FORMATS[found]
    if ending not in endings:
        refuse(path, "ending-wrong", f"contains {found}, but has another ending.", f"Rename it to {endings[0]}.")
    return found


def _refuse_other(path: Path) -> None:
    """Refuse a file of another known format, or one that is compressed in a way that is not supported.

    Raises:
        VolumeError: The file is such a file.
        RuntimeError: Its compressed content is damaged.
    """
    head = first_bytes(path, 1024)
    if not any(head):
        problem = "contains only zeros." if head else "is empty."
        refuse(path, "unreadable", problem)
    if is_gzip(path) and (head.startswith((b"NRRD", GZIP_MAGIC)) or _META.match(head)):
        refuse(path, "unreadable", "is compressed with gzip once more.", "Unpack it with gunzip.")
    for begin, described, remedy in _OTHER_CONTENTS:
        if head.startswith(begin):
            refuse(path, "unreadable", f"is {described}, not a volume.", remedy)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of readers inside the block into a :class:`VolumeError` with the file, the problem and the fix."""
    if not path.is_file():
        problem = "is neither a file nor a folder." if path.exists() else "does not exist."
        raise VolumeError(path, problem, "Check the path.")
    try:
        yield
    except MemoryError as error:
        raise _too_large(path) from error
    except OSError as error:
        raise VolumeError(path, f"cannot be read ({error.strerror}).", "Check its permissions.") from error
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise _too_large(path) from error
        problem = f"is damaged or truncated ({last_line(error)})."
        raise VolumeError(path, problem, "Export or copy it again.") from error


def _too_large(path: Path) -> VolumeError:
    remedy = "Use fewer --jobs, or crop the volume to the leg."
    return VolumeError(path, "does not fit into memory.", remedy, code="too-large")


def last_line(error: Exception) -> str:
    """Return the last line of a message of ITK, without quotes of the header, which may contain a patient's name."""
    line = str(error).strip().rpartition("\n")[2].strip()
    line = re.sub(r"^ITK ERROR: \w+\(0x[0-9a-f]+\): ", "", line)
    if line.startswith("Reason:"):
        return "its header or its voxels are incomplete"  # ITK quotes the last error of the system, of whatever origin
    if not re.search("[A-Za-z]{3}", line):
        return "its header is invalid"
    return re.sub(r"""".*"|\|.*\||'[^']*'[^']*$""", "...", line)
