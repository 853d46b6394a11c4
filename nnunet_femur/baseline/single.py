"""TotalSegmentator on one volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.baseline.jobs import Job
from nnunet_femur.baseline.record import RunRecord
from nnunet_femur.baseline.running import run_recorded
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS
from nnunet_femur.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.baseline.settings import Settings
    from nnunet_femur.progress import Track


def run_on_volume(ct: Path, output: Path, settings: Settings, *, track: Track = silent) -> Path:
    """Segment the femur in one CT, on its own grid and in its own order.

    A second call with the same CT, settings and weights finds the mask done. What was run is noted beside the mask,
    in ``NAME.run.json``.

    Args:
        ct: A volume, or a folder of DICOM slices.
        output: The mask to write: 1 where a femur is, or 1 left and 2 right with ``settings.sides``.
        settings: How TotalSegmentator is run.
        track: Draws the progress.

    Returns:
        The record's path.

    Raises:
        InputError: The CT cannot be read, the mask's name has no ending that is written, or no femur was found.
        SetupError: TotalSegmentator's weights are not there or not right.
    """
    if not ct.exists():
        msg = f"{ct}: there is no such file or folder. Check the path."
        raise InputError(msg)
    if volume_ending(output) not in WRITTEN_ENDINGS:
        msg = f"{output}: masks are written as one file. Name it {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg)
    if output.exists() and ct.exists() and output.resolve() == ct.resolve():
        msg = f"{output}: is the CT itself. Give another name for the mask."
        raise InputError(msg)
    models = settings.models()
    path = record_of(output)
    record = RunRecord(path, settings.record(models), device=settings.device)
    run_recorded([Job(output.name, ct, output)], settings, models, record, track=track)
    return path


def record_of(mask: Path) -> Path:
    """Return the record beside a mask: ``NAME.run.json``.

    Args:
        mask: The mask, with an ending of a volume.
    """
    return mask.with_name(f"{mask.name[: -len(volume_ending(mask) or '')]}.run.json")
