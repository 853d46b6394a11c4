"""Time of preprocessing and export in nnfemur predict against nnU-Net's own functions, and their differences.

Run: uv run python benchmarks/prediction_stages.py

A network of TotalSegmentator's 24 classes at 1.5 mm is built but never called: the logits that are exported to the CT's
grid are made from the phantom's mask.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch
from marked_tables import table
from nnunetv2.inference import export_prediction

from nnunet_femur.imaging.geometry import Geometry, oriented
from nnunet_femur.prediction.export import export
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.preprocessing import preprocess
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.testing import make_phantom, write_dummy_weights

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (2.0, 0.74, 0.74)
FEMUR = 7


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    """Print seconds of both stages, ours and nnU-Net's, and how far they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=3, default=SIZE_ZYX, help="voxels of the CT, z y x")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = write_dummy_weights(Path(folder), iterations=0, tasks=("femur",))
        predictor = load_predictor(find_model(source.folder), device=choose_device("cpu"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"CT of {' x '.join(map(str, options.size))} voxels of {SPACING_MM_ZYX} mm")
    phantom = make_phantom(3, size_zyx=tuple(options.size), spacing_mm_zyx=SPACING_MM_ZYX)
    image = oriented(phantom.image)
    spacing, voxels = list(Geometry.of(image).spacing_mm_zyx), sitk.GetArrayViewFromImage(image)
    plans, configuration, labels = predictor.plans_manager, predictor.configuration_manager, predictor.label_manager
    threads = torch.get_num_threads()

    ours_s, ours = _timed(lambda: preprocess(voxels, spacing, predictor))
    preprocessor = configuration.preprocessor_class(verbose=False)
    ct = voxels[None].astype(np.float32)
    theirs_s, (theirs, *_) = _timed(
        lambda: preprocessor.run_case_npy(ct, None, {"spacing": spacing}, plans, configuration, predictor.dataset_json)
    )
    difference = f"values differ by at most {np.abs(theirs - ours.data.numpy()).max():.0e}"
    rows = [("preprocessing", ours_s, theirs_s, f"{theirs_s / ours_s:.1f}", difference)]

    # Logits of two classes describe the bone; those of the others are low everywhere.
    bone = torch.from_numpy(sitk.GetArrayFromImage(oriented(phantom.mask)).astype(np.float32))[None, None]
    bone = torch.nn.functional.interpolate(bone, size=ours.data.shape[1:], mode="trilinear")[0, 0] - 0.5
    logits = torch.full((labels.num_segmentation_heads, *bone.shape), -9.0, dtype=torch.half)
    logits[0], logits[FEMUR] = (0.1 * torch.rand(bone.shape) - 8 * bone).half(), (8 * bone).half()
    ours_s, exported = _timed(lambda: export([logits], ours, predictor, femur=(FEMUR,)))
    theirs_s, expected = _timed(
        lambda: export_prediction.convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, plans, configuration, labels, ours.properties, num_threads_torch=threads
        )
    )
    differ = np.count_nonzero((expected == FEMUR) != exported.mask_zyx)
    difference = f"{differ} of {np.count_nonzero(expected)} voxels of femur differ"
    rows.append(("export to the CT's grid", ours_s, theirs_s, f"{theirs_s / ours_s:.1f}", difference))
    print(table(("stage", "ours (s)", "nnU-Net (s)", "nnU-Net / ours", "difference"), rows))


if __name__ == "__main__":
    main()
