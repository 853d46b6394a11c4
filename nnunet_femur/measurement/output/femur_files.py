"""Files of one femur in the output folder: landmarks for 3D Slicer, and a picture."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import cannot_write, write_json, written_beside
from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.measurements import TABLE_NAME, file_names
from nnunet_femur.measurement.output.landmark_picture import draw_femur
from nnunet_femur.measurement.output.slicer_markups import markups
from nnunet_femur.measurement.surfaces.surface_files import SURFACE_ENDINGS
from nnunet_femur.records import read_json
from nnunet_femur.shards import with_shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LANDMARKS_ENDING, PICTURE_ENDING = ".mrk.json", ".png"


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


def remove_earlier(folder: Path, femurs: Sequence[FemurMeasurements]) -> None:
    """Remove landmarks, pictures and surfaces of an earlier run that do not belong to the present result of their mask.

    They would contradict the tables: the side of a femur may have changed, or its mask may be unreadable now. Only
    files of femurs that the earlier ``measurements.json`` of the folder lists are removed.

    Args:
        folder: The output folder, with the tables of the earlier run.
        femurs: The present result of all masks of this run.
    """
    found = map(read_json, with_shards(folder, f"{TABLE_NAME}.json"))
    records = [record for content in found if isinstance(content, list) for record in content]
    # A list, because a value of the file may be of any type.
    cases = [femur.case for femur in femurs]
    earlier = [
        FemurMeasurements(record["case"], record["side"], "", {}, {})
        for record in records
        if isinstance(record, dict) and record.get("case") in cases and record.get("side") in (LEFT, RIGHT, UNKNOWN)
    ]
    kept = {name for of_mask in _by_case(femurs) for femur, name in _named(of_mask) if femur.anatomy is not None}
    for of_mask in _by_case(earlier):
        for _, name in _named(of_mask):
            for ending in (LANDMARKS_ENDING, PICTURE_ENDING, *SURFACE_ENDINGS) if name not in kept else ():
                (folder / f"{name}{ending}").unlink(missing_ok=True)


def _by_case(femurs: Sequence[FemurMeasurements]) -> list[list[FemurMeasurements]]:
    by_case: dict[str, list[FemurMeasurements]] = defaultdict(list)
    for femur in femurs:
        by_case[femur.case].append(femur)
    return list(by_case.values())


def _named(of_mask: list[FemurMeasurements]) -> list[tuple[FemurMeasurements, str]]:
    return list(zip(of_mask, file_names(of_mask), strict=True))
