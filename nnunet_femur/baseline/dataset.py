"""TotalSegmentator on the validation and test cases of a dataset, laid out as a method to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.baseline.jobs import Job
from nnunet_femur.baseline.record import RunRecord
from nnunet_femur.baseline.running import run_recorded
from nnunet_femur.dataset.environment import require
from nnunet_femur.errors import InputError
from nnunet_femur.planning import find_dataset
from nnunet_femur.progress import silent
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nnunet_femur.baseline.settings import Settings
    from nnunet_femur.progress import Track

METHOD_FOLDERS = {False: "TotalSegmentator__total__1.5mm", True: "TotalSegmentator__total__3mm"}
"""Folder of the method below the dataset's results, by whether the 3 mm model is used."""

_PARTS = (("imagesTr", "validation"), ("imagesTs", "test"))
"""Folders of CTs, and those of their masks: TotalSegmentator was trained on none of these cases."""


def run_on_dataset(dataset_id: int, settings: Settings, *, track: Track = silent) -> Path:
    """Segment all cases of a raw dataset: those that are trained and validated on, and those for testing.

    A second call does what is missing. What was run is noted in ``run.json`` of the returned folder.

    Args:
        dataset_id: nnU-Net's dataset number.
        settings: How TotalSegmentator is run.
        track: Draws the progress.

    Returns:
        The method's folder in ``nnUNet_results``, with ``validation`` and ``test``.

    Raises:
        InputError: There is no such dataset, it has no CT, or cases are left without a mask.
        SetupError: nnU-Net's folders are not set, or TotalSegmentator's weights are not there or not right.
    """
    if settings.sides:
        msg = "A dataset's masks are femur or not, so that they can be compared: --sides goes with one volume (-i)."
        raise InputError(msg)
    raw = find_dataset(require("nnUNet_raw", create=False), dataset_id)
    folder = require("nnUNet_results") / raw.name / METHOD_FOLDERS[settings.fast]
    jobs = list(_jobs(raw, folder))
    if not jobs:
        msg = f"{raw}: holds no CT in {' or '.join(part for part, _ in _PARTS)}. Run nnfemur convert again."
        raise InputError(msg)
    models = settings.models()
    record = RunRecord(folder / "run.json", settings.record(models), device=settings.device)
    run_recorded(jobs, settings, models, record, track=track)
    return folder


def _jobs(raw: Path, folder: Path) -> Iterator[Job]:
    description = read_json(raw / "dataset.json")
    if not isinstance(description, dict) or "file_ending" not in description:
        msg = f"{raw / 'dataset.json'}: missing or unreadable. Run nnfemur convert again."
        raise InputError(msg)
    ending = description["file_ending"]
    seen = set()
    for images, part in _PARTS:
        for ct in sorted((raw / images).glob(f"[!.]*_0000{ending}")):
            case = ct.name.removesuffix(f"_0000{ending}")
            # A record has one entry for each name.
            yield Job(f"{part}/{case}" if case in seen else case, ct, folder / part / f"{case}{ending}")
            seen.add(case)
