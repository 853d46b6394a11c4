"""Models that have validated a fold and predicted the test set, with probabilities, but without any network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

READER = "SimpleITKIOWithReorient"


def write_dataset(raw: Path, cases: Sequence[str], test: Sequence[str], *, val: Sequence[Sequence[str]]) -> Path:
    """Write the masks of a raw dataset, boxes of different sizes in LPS order, and its folds.

    Args:
        raw: The folder ``DatasetNNN_Name``.
        cases: Training cases.
        test: Test cases.
        val: Validation cases of each fold.
    """
    for number, (folder, case) in enumerate(
        [*(("labelsTr", case) for case in cases), *(("labelsTs", case) for case in test)]
    ):
        voxels = np.zeros((10, 11, 12), dtype=np.uint8)
        # Not symmetric along any axis, so that a flipped array differs.
        voxels[1 : 6 + number % 3, 2:6, 3:8] = 1
        write_mask(raw / folder / f"{case}.nrrd", voxels)
    description = {
        "file_ending": ".nrrd",
        "labels": {"background": 0, "femur": 1},
        "channel_names": {"0": "CT"},
        "overwrite_image_reader_writer": READER,
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    folds = [{"train": [case for case in cases if case not in of_fold], "val": [*of_fold]} for of_fold in val]
    (raw / "splits_final.json").write_text(json.dumps(folds))
    return raw


def write_mask(path: Path, voxels: NDArray[np.uint8]) -> None:
    """Write voxels of 2 x 2 x 5 mm in LPS order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 5.0))
    sitk.WriteImage(image, str(path))


def write_model(
    folder: Path,
    raw: Path,
    femur: Callable[[str, NDArray[np.float32]], NDArray[np.float32]],
    *,
    folds: Sequence[int],
    reader: str = READER,
    seconds: float | None = None,
) -> Path:
    """Write what nnU-Net leaves of a model after ``--val --npz`` and ``--save_probabilities``.

    Args:
        folder: The folder ``TRAINER__PLANS__CONFIGURATION``.
        raw: The raw dataset.
        femur: Returns the probability of femur of a case from its reference mask, both in the order of the reader.
        folds: Folds to validate.
        reader: nnU-Net's reader of the plans.
        seconds: Duration of each training to record.
    """
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient

    description = json.loads((raw / "dataset.json").read_text())
    plans = {
        "dataset_name": raw.name,
        "plans_name": "nnUNetPlans",
        "image_reader_writer": reader,
        "label_manager": "LabelManager",
        "configurations": {},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(description))
    io = SimpleITKIOWithReorient()
    splits = json.loads((raw / "splits_final.json").read_text())
    test = sorted(path.name.removesuffix(".nrrd") for path in (raw / "labelsTs").iterdir())
    for fold in folds:
        for part, labels, cases in (
            ("validation", "labelsTr", splits[fold]["val"]),
            ("test_probabilities", "labelsTs", test),
            ("test", "labelsTs", test),
        ):
            place = folder / f"fold_{fold}" / part
            place.mkdir(parents=True, exist_ok=True)
            for case in cases:
                reference, properties = io.read_seg(str(raw / labels / f"{case}.nrrd"))
                bone = femur(case, reference[0].astype(np.float32)).astype(np.float32)
                probabilities = np.stack([1 - bone, bone])
                io.write_seg(probabilities.argmax(0), str(place / f"{case}.nrrd"), properties)
                if part != "test":
                    np.savez_compressed(place / f"{case}.npz", probabilities=probabilities)
        if seconds is not None:
            (folder / f"fold_{fold}" / "run.json").write_text(json.dumps({"fold": fold, "seconds": seconds}))
    return folder
