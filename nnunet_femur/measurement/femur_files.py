"""Files of one femur in the output folder: landmarks for 3D Slicer, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import cannot_write, write_json, written_beside
from nnunet_femur.imaging.sides import LEFT, RIGHT
from nnunet_femur.measurement.landmark_picture import draw_femur
from nnunet_femur.measurement.slicer_markups import markups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.measurement.femur_measurements import FemurMeasurements

LANDMARKS_ENDING, PICTURE_ENDING = ".mrk.json", ".png"

_ENDINGS = (LANDMARKS_ENDING, PICTURE_ENDING)
"""Endings of all files of a femur."""


def write_femur_files(femur: FemurMeasurements, folder: Path, name: str) -> tuple[Path, ...]:
    """Write landmarks and picture of a femur, each atomically; of a mask without a bone, nothing is written.

    Args:
        femur: The femur.
        folder: The folder, which must exist.
        name: Name of the files without their endings.

    Returns:
        The written files.

    Raises:
        SetupError: A file cannot be written (code "cannot-write").
    """
    landmarks, picture = folder / f"{name}{LANDMARKS_ENDING}", folder / f"{name}{PICTURE_ENDING}"
    anatomy = femur.anatomy
    if anatomy is None or not len(anatomy.surface.triangles):
        return ()
    content = markups(anatomy, name)
    png = draw_femur(femur)
    for path in (landmarks, picture):
        try:
            if path == landmarks:
                write_json(path, content, durable=False)
            else:
                with written_beside(path, durable=False) as partial:
                    partial.write_bytes(png)
        except OSError as error:
            raise cannot_write(path, error) from error
    return landmarks, picture


def remove_earlier(folder: Path, case: str, *, written: Sequence[Path] = ()) -> None:
    """Remove files that an earlier run wrote for a mask, and that do not belong to its present result.

    They would contradict the tables: the side of a femur may have changed, or its mask may be unreadable now.

    Args:
        folder: The output folder.
        case: The case of the mask.
        written: Files of the present result, which are kept.
    """
    for name in (case, *(f"{case}_{side}" for side in (LEFT, RIGHT))):
        for ending in _ENDINGS:
            path = folder / f"{name}{ending}"
            if path not in written:
                path.unlink(missing_ok=True)
