"""Measure the femurs of many masks; a mask that cannot be read does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.arguments import require_one_of, several
from nnunet_femur.atomic_files import make_folder
from nnunet_femur.errors import FemurError, InputError
from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN, side_in_name
from nnunet_femur.kinds import unexpected
from nnunet_femur.measurement.batch_inputs import MaskToMeasure, find_inputs
from nnunet_femur.measurement.density.calibration import read_calibration
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.mask_measuring import MaskResult, Options, measure_femurs
from nnunet_femur.measurement.measurements import TABLE_ENDINGS, TABLE_NAME, Measurements, is_table
from nnunet_femur.measurement.output.femur_files import remove_earlier
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.measurement.surfaces.model_surfaces import EDGE_MM, require_edge
from nnunet_femur.measurement.surfaces.surface_files import (
    SURFACE_ENDINGS,
    SURFACE_TABLE,
    SurfaceOptions,
    write_quality,
)
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from os import PathLike

    from nnunet_femur.measurement.batch_inputs import VolumeInput
    from nnunet_femur.measurement.density.calibration import Calibration


@dataclass(frozen=True)
class _Task:
    given: MaskToMeasure
    options: Options


def measure(
    masks: VolumeInput | Sequence[VolumeInput],
    *,
    ct: VolumeInput | Sequence[VolumeInput] | None = None,
    calibration: Calibration | str | Path | Sequence[float] | None = None,
    side: str | None = None,
    segments: str | Collection[str] = (),
    labels: int | Collection[int] = (),
    output: str | PathLike[str] | None = None,
    stl: bool = False,
    ply: bool = False,
    edge_mm: float = EDGE_MM,
    jobs: int = 1,
    shard: str | Shard | None = None,
    progress: Progress = SILENT,
) -> Measurements:
    """Measure femurs: head, neck, axes, angles, lengths and volume, and density if the CT is given.

    A mask can contain one femur or both. Both are told apart by the labels 1 (left) and 2 (right), by segments such as
    ``femur_left`` and ``femur_right``, or as two pieces. The side of a femur is that of its label or segment, or else
    that of its shape, or else that of the other femur of the mask, or else that of the case's name (``R101``). What
    cannot be measured is None, with a reason.

    Args:
        masks: Masks or segmentations: files, DICOM SEG, folders of these, or SimpleITK images; one or several.
        ct: The CT of each mask, paired by name, see :func:`~nnunet_femur.measurement.batch_inputs.find_inputs`.
        calibration: Calibration of the CTs from HU to mg/cm3 of K2HPO4, for example ``"0.8,-2"`` (slope, intercept),
            see :func:`~nnunet_femur.measurement.density.calibration.read_calibration`; None for HU only.
        side: Side of masks with one femur, "left" or "right", if you know it.
        segments: Names of the segments of a segmentation that are femur; empty: the only one, or those named femur.
        labels: Values of a mask that are femur, which then state no side; empty: 1 and 2, or the only value above 0.
        output: A ``.csv`` or ``.json`` file for the table, or a folder, which gets both tables, and for each femur
            ``CASE_SIDE.mrk.json`` (landmarks for 3D Slicer) and ``CASE_SIDE.png`` (a picture). Surfaces are then
            removed from the returned landmarks, to save memory.
        stl: Write a surface for models of each femur into the folder, ``CASE_SIDE.stl``, and their quality,
            ``surface_quality.csv``, see :func:`~nnunet_femur.measurement.model_surface`.
        ply: The same as ``CASE_SIDE.ply``.
        edge_mm: Edge length of these surfaces in mm, up to 10.
        jobs: Number of processes, from 1; images in memory are measured in this process.
        shard: Measure one of several parts of the masks, such as ``"3/16"``, so that several machines share the work;
            needs a folder as output, in which ``nnfemur merge`` joins the tables.
        progress: Receives the progress.

    Returns:
        One entry per femur, in the order of the masks.

    Raises:
        InputError: A path does not exist (code "not-found"), there is no mask (code "no-cases"), or an option is
            invalid (code "invalid-option"). Problems of one mask or CT are in the result instead.
        SetupError: A file cannot be written (code "cannot-write").

    Example:
        >>> femur = measure("reference.nrrd")[0]
        >>> femur.case, 300 < femur["volume_ml"] < 800
        ('reference', True)
        >>> measure("reference.nrrd", output="measured").folder
        PosixPath('measured')
    """
    if side is not None:
        require_one_of("side", side, (LEFT, RIGHT))
    if calibration is not None and ct is None:
        msg = "calibration is for CTs. Pass ct as well, or omit it."
        raise InputError(msg, code="invalid-option")
    if jobs < 1:
        msg = f"jobs must be 1 or more, got {jobs}."
        raise InputError(msg, code="invalid-option")
    line = read_calibration(calibration)
    part = Shard.parse(shard)
    found = [one for one in find_inputs(masks, ct) if part is None or part.takes(one.case)]
    path = None if output is None else Path(output)
    folder = None if path is None or is_table(path) else path
    endings = tuple(ending for ending, asked in zip(SURFACE_ENDINGS, (stl, ply), strict=True) if asked)
    if (endings or part is not None) and folder is None:
        msg = (
            f"{'stl and ply need' if endings else 'shard needs'} a folder as output. Pass a folder, or omit the option."
        )
        raise InputError(msg, code="invalid-option")
    require_edge(edge_mm)
    if folder is not None:
        make_folder(folder)
    options = Options(
        side=side or UNKNOWN,
        segments=several(segments),
        labels=several(labels),
        with_ct=ct is not None,
        calibration=line,
        folder=folder,
        surfaces=SurfaceOptions(endings, edge_mm),
    )
    tasks = [_Task(one, options) for one in found]
    jobs = jobs if all(isinstance(one.mask, Path) for one in found) else 1
    work = each(_measured, tasks, jobs=jobs, crashed=_crashed)
    done = dict(track(work, "Measure", len(tasks), progress=progress))
    measurements = Measurements(
        tuple(femur for number in range(len(tasks)) for femur in done[number].femurs),
        {task.given.case: done[number].error for number, task in enumerate(tasks) if done[number].error},
        folder,
        tuple(surface for number in range(len(tasks)) for surface in done[number].surfaces),
    )
    if folder is not None:
        _save(measurements, folder, part, surfaces=bool(endings))
    elif path is not None:
        measurements.save(path)
    return measurements


def _save(measurements: Measurements, folder: Path, part: Shard | None, *, surfaces: bool) -> None:
    """Write the tables of a folder; those of a part beside those of others."""

    def _place(name: str) -> Path:
        return folder / name if part is None else part.file(folder, name)

    remove_earlier(folder, measurements)
    for ending in TABLE_ENDINGS:
        measurements.save(_place(f"{TABLE_NAME}{ending}"))
    if surfaces:
        write_quality(measurements.surfaces, _place(SURFACE_TABLE))


def _measured(task: _Task) -> MaskResult:
    """Return the entries of one mask; only an error of writing stops the other masks."""
    given = task.given
    if given.mask is None:
        return _failed(task, "duplicate-case", given.problem)
    try:
        return measure_femurs(given, task.options)
    except FemurError as error:
        if error.code == "cannot-write":
            raise
        return _failed(task, error.code, str(error))
    except OSError as error:
        return _failed(task, "unreadable", f"{given.name}: cannot be read ({error.strerror or error}).")
    except MemoryError:
        return _failed(task, "too-large", f"{given.name}: out of memory. Crop the mask to the leg.")
    except Exception as error:  # noqa: BLE001
        found = unexpected(error, given.name)
        return _failed(task, found.code, str(found))


def _crashed(task: _Task) -> MaskResult:
    return _failed(task, "crash", f"{task.given.name}: the process that measured it ended unexpectedly.")


def _failed(task: _Task, code: str, text: str) -> MaskResult:
    """Return the entry of a mask that cannot be read; its side is the one that its name states."""
    side = side_in_name(task.given.case)
    known = side in (LEFT, RIGHT)
    keys = (*QUANTITIES, *(CT_QUANTITIES if task.options.with_ct else ()))
    missing = dict.fromkeys(keys, Missing(code, text))
    entry = FemurMeasurements(task.given.case, side if known else UNKNOWN, "id" if known else "", {}, missing)
    return MaskResult((entry,), text)
