"""A prediction folder of three phantoms: a good mask, one with a gap, and a case without a mask."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.writing import segment_fields
from nnunet_femur.prediction.results import CaseResult
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"size_zyx": (60, 40, 40), "spacing_mm_zyx": (8.0, 5.0, 5.0)}


def write_segmentation(path: Path, mask_zyx: np.ndarray, like: sitk.Image) -> None:
    """Write a mask as 3D Slicer does: one segment called femur."""
    image = sitk.GetImageFromArray(mask_zyx.astype(np.uint8))
    image.CopyInformation(like)
    for key, value in segment_fields(mask_zyx).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), True)


def write_predictions(folder: Path, results: list[CaseResult]) -> None:
    content = {"model": {"name": "M", "folds": ["0"], "sha256": "5e"}, "cases": [asdict(result) for result in results]}
    (folder / "predictions.json").write_text(json.dumps(content))


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    return make_predicted(tmp_path)


def make_predicted(base: Path) -> Path:
    """Write the CTs to ``cts``, and the masks and their record to ``out``, which is returned."""
    folder, cts = base / "out", base / "cts"
    folder.mkdir()
    cts.mkdir()
    results = []
    for seed, case in ((1, "L801"), (2, "L802")):
        phantom = make_phantom(seed, side="left", **SMALL)
        sitk.WriteImage(phantom.image, str(cts / f"{case}.nrrd"))
        mask = sitk.GetArrayFromImage(phantom.mask)
        if case == "L802":
            mask[28:32] = 0
        write_segmentation(folder / f"{case}.seg.nrrd", mask, phantom.mask)
        results.append(CaseResult(case, str(cts / f"{case}.nrrd"), disagreement=0.0))
    problem = f"{cts / 'L803.nrrd'}: is truncated. Copy it again."
    write_predictions(folder, [*results, CaseResult("L803", str(cts / "L803.nrrd"), error=problem, review_score=1.0)])
    return folder
