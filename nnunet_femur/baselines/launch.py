"""The command ``TotalSegmentator`` on any volume that this package reads.

The stock program gets the same arguments where it can do the job itself, and a NIfTI copy of the CT where it cannot
read the CT or write the output. Without an output, which the stock program refuses,
:func:`~nnunet_femur.baselines.running.run_on_volume` runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import require_utf8_name, write_json
from nnunet_femur.baselines.baseline_record import require_ours
from nnunet_femur.baselines.running import record_of, run_on_volume
from nnunet_femur.baselines.settings import Settings, device_name
from nnunet_femur.baselines.stock_program import StockArguments, become_stock, ending_in_order, run_stock, spelling
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS
from nnunet_femur.progress import SILENT, TerminalProgress
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_NIFTI = (".nii", ".nii.gz")

_BASELINE_OPTIONS = {"i", "fast", "robust_crop", "device", "quiet"}


def launch(given: Sequence[str]) -> int:
    """Run ``TotalSegmentator`` with these arguments.

    Args:
        given: The arguments as typed, without the program's name.

    Returns:
        The exit status. The function does not return where the stock program replaces this process.

    Raises:
        InputError: The CT cannot be read, or the output cannot be written as its name asks.
        SetupError: Without an output: TotalSegmentator's weights are missing or invalid.
        Stopped: The process received a signal to end.
    """
    arguments = StockArguments.parse(given)
    if arguments is None or arguments.prints_only or arguments.input is None:
        return become_stock(given)
    with ending_in_order():
        if arguments.output is None:
            return _segment_femur(arguments, arguments.input)
        converted = _needs_conversion(arguments.output, arguments)
        if converted or not _stock_reads(arguments.input):
            return _run_on_nifti(arguments, arguments.input, arguments.output, convert_output=converted)
    return become_stock(given)


def _stock_reads(ct: Path) -> bool:
    """Return True for NIfTI and DICOM folders, also zipped, and for a missing path, which the stock program reports."""
    if ct.is_file():
        return ct.name.endswith(_NIFTI) or zipfile.is_zipfile(ct)
    return volume_ending(ct) is None or ct.name.endswith(_NIFTI) or ct.is_dir()


def _needs_conversion(output: Path, arguments: StockArguments) -> bool:
    """Return True if the name of the output asks for a kind of volume that the stock program does not write.

    Raises:
        InputError: The name asks for one file and the options for a folder, or vice versa.
    """
    ending = volume_ending(output)
    if ending is None or ending in _NIFTI or arguments.output_types != ("nifti",) or output.is_dir():
        return False
    if ending not in WRITTEN_ENDINGS:
        msg = f"{output}: volumes are written as one file. Name it {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg, code="invalid-name")
    if not arguments.multilabel:
        problem = "names one file, but without --ml TotalSegmentator writes a folder with one file per class."
        msg = f"{output}: {problem} Add --ml, or name a folder."
        raise InputError(msg, code="invalid-option")
    return True


def _run_on_nifti(arguments: StockArguments, ct: Path, output: Path, *, convert_output: bool) -> int:
    from nnunet_femur.baselines.oriented_ct import OrientedCt, write_back, write_stored

    other = [kind for kind in arguments.output_types if kind != "nifti"]
    if other:
        msg = f"{ct}: TotalSegmentator writes {', '.join(other)} only for DICOM. Give the folder of DICOM slices."
        raise InputError(msg, code="invalid-option")
    for path in (ct, output):
        require_utf8_name(path)
    if output.exists() and ct.exists() and output.samefile(ct):
        msg = f"{output}: is the CT itself. Give another name for the output."
        raise InputError(msg, code="exists")
    written = _partial(output) if convert_output else output
    with tempfile.TemporaryDirectory(prefix="nnfemur_totalsegmentator_") as folder:
        nifti = Path(folder) / "ct.nii"
        if "quiet" not in arguments.values:
            sys.stderr.write(f"{ct}: passed to TotalSegmentator as a NIfTI copy on the same grid.\n")
        image = OrientedCt.read(ct)
        try:
            stored = write_stored(image, nifti)
        except OSError as error:
            msg = f"{nifti}: cannot be written ({error.strerror}). Free space there, or set TMPDIR to another folder."
            raise SetupError(msg, code="cannot-write") from error
        del image  # frees memory for TotalSegmentator
        try:
            status = run_stock(arguments.with_paths(nifti, written))
            if status == 0 and convert_output and "skip_saving" not in arguments.values:
                if not written.is_file():
                    msg = f"{output}: TotalSegmentator ended without error but wrote no masks. See its output above."
                    raise SetupError(msg, code="program-failed")
                write_back(written, stored, output)
        finally:
            if convert_output:
                written.unlink(missing_ok=True)
        if status == 0 and arguments.report is not None:
            _restore_typed_paths(arguments.report, {nifti: ct, written: output})
    return status


def _partial(output: Path) -> Path:
    """Path of the NIfTI file that becomes `output`.

    It is in the same folder, since statistics and preview are written beside it.
    """
    return output.with_name(f".{output.name.removesuffix(output.suffix)}.partial.nii.gz")


def _restore_typed_paths(report: Path, names: dict[Path, Path]) -> None:
    """Replace temporary paths in TotalSegmentator's run report by those that the user has typed."""
    content = read_json(report)
    if not isinstance(content, dict):
        return
    absolute = {os.path.abspath(old): os.path.abspath(new) for old, new in names.items()}  # noqa: PTH100
    for key, value in content.items():
        if isinstance(value, str):
            content[key] = absolute.get(value, value)
    write_json(report, content)


def _segment_femur(arguments: StockArguments, ct: Path) -> int:
    """Run ``nnfemur baseline`` on one CT, with the mask beside it."""
    unknown = arguments.values.keys() - _BASELINE_OPTIONS
    if arguments.values.get("task") == "total":
        unknown -= {"task"}
    if unknown:
        options = ", ".join(sorted(spelling(name) for name in unknown))
        msg = (
            f"{options}: needs an output; give it with -o. Without -o, the femur's mask is written beside the CT, and "
            "the only options are --fast, --robust_crop, --device and --quiet."
        )
        raise InputError(msg, code="invalid-option")
    output = mask_beside(ct)
    require_utf8_name(output)
    require_ours(output, record_of(output))
    settings = Settings(
        fast="fast" in arguments.values,
        robust_crop="robust_crop" in arguments.values,
        device=device_name(arguments.values.get("device") or "auto"),
    )
    run_on_volume(ct, output, settings, progress=SILENT if "quiet" in arguments.values else TerminalProgress())
    sys.stdout.write(f"{output}\n")
    return 0


def mask_beside(ct: Path) -> Path:
    """Return the path of the mask beside a CT: ``ct_femur.nrrd`` for ``ct.nrrd``, ``dicom_femur.nrrd`` for ``dicom/``.

    Args:
        ct: A volume, or a folder of DICOM slices.
    """
    path = Path(os.path.abspath(ct))  # noqa: PTH100  # "." and ".." have no name
    ending = None if path.is_dir() else volume_ending(path)
    name = path.name[: -len(ending)] if ending else path.name
    return path.with_name(f"{name}_femur{ending if ending in WRITTEN_ENDINGS else '.nrrd'}")
