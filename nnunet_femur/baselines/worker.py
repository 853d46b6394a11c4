"""The process in which TotalSegmentator runs, separate because TotalSegmentator changes nnU-Net and the environment.

It is called as ``python -m nnunet_femur.baselines.worker JOBS.json``. It reports the outcome of each case on standard
output, one JSON object per line after :data:`MARK`, among whatever TotalSegmentator and nnU-Net print.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.atomic_files import require_utf8_name
from nnunet_femur.baselines.baseline_masks import algorithm
from nnunet_femur.baselines.oriented_ct import OrientedCt
from nnunet_femur.baselines.settings import Job, Outcome
from nnunet_femur.errors import FemurError
from nnunet_femur.imaging.dicom_files import dicom_format
from nnunet_femur.imaging.dicom_references import dicom_ct
from nnunet_femur.imaging.usability import require_usable
from nnunet_femur.prediction.mask_files import write_masks
from nnunet_femur.weights.models import FEMURS, TASK

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK = "nnunet_femur.baselines: "
"""Start of a line that is meant for the calling process."""


def segment(ct: OrientedCt, *, fast: bool, robust_crop: bool, device: str) -> NDArray[np.uint8]:
    """Return TotalSegmentator's femurs: 1 left, 2 right, 0 elsewhere (z, y, x), in the order of the CT.

    Args:
        ct: The CT.
        fast: Use the 3 mm model instead of the 1.5 mm model.
        robust_crop: Locate the femur at 3 mm instead of 6 mm.
        device: TotalSegmentator's name of the device.
    """
    from totalsegmentator.map_to_binary import class_map
    from totalsegmentator.python_api import totalsegmentator

    wanted = "roi_subset_robust" if robust_crop else "roi_subset"
    found = totalsegmentator(
        ct.as_nifti(), None, ml=True, task=TASK, fast=fast, device=device, quiet=True, **{wanted: list(FEMURS)}
    )
    labels = np.asanyarray(found.dataobj).transpose(2, 1, 0)
    numbers = {name: number for number, name in class_map[TASK].items()}
    sides = np.zeros(labels.shape, np.uint8)
    for side, name in enumerate(FEMURS, start=1):
        sides[labels == numbers[name]] = side
    return sides


def _run(job: Job, settings: dict[str, Any]) -> Outcome:
    start = time.perf_counter()
    try:
        any_values = settings.get("any_values", False)
        if any(map(dicom_format, job.outputs)):
            dicom_ct(job.ct)
        ct = OrientedCt.read(job.ct, any_values=any_values)
        doubts = [*ct.findings, *require_usable(ct.hu, ct.geometry, job.ct, any_values=any_values)]
        options = {name: settings[name] for name in ("fast", "robust_crop", "device")}
        mask = segment(ct, **options)
        if not mask.any():
            return Outcome(job.case, time.perf_counter() - start, _no_femur_problem(job, settings), code="no-femur")
        _write(job, ct, mask, settings)
        volume_ml = float(np.count_nonzero(mask) * ct.geometry.voxel_volume_ml)
        warnings = tuple(found.problem.rstrip(".") for found in doubts)
        return Outcome(job.case, time.perf_counter() - start, volume_ml=volume_ml, warnings=warnings)
    except FemurError as error:
        return Outcome(job.case, time.perf_counter() - start, str(error), code=error.code)
    except BaseException as error:  # TotalSegmentator also ends the process; one case must not stop the others
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        problem = f"{job.ct}: TotalSegmentator stopped with {type(error).__name__}: {error}."
        return Outcome(job.case, time.perf_counter() - start, problem, code="program-failed")


def _write(job: Job, ct: OrientedCt, mask: NDArray[np.uint8], settings: dict[str, Any]) -> None:
    for path in job.outputs:
        require_utf8_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    labels = ct.on_own_grid(mask)
    write_masks(
        job.outputs,
        labels > 0,
        labels,
        sides=settings["sides"],
        source=job.ct,
        algorithm=algorithm(fast=settings["fast"]),
    )


def _no_femur_problem(job: Job, settings: dict[str, Any]) -> str:
    remedy = "" if settings["robust_crop"] else " Try --robust-crop, which locates it at 3 mm instead of 6 mm."
    return (
        f"{job.ct}: TotalSegmentator found no femur, so no mask is written. Check that the CT is in HU, that the "
        f"orientation in its header is correct, and that it contains a femur.{remedy}"
    )


def without_processes() -> None:
    """Let nnU-Net read, predict and write one after another instead of in three processes.

    TotalSegmentator predicts one image at a time, and each further process would import nnU-Net again.
    """
    # Importing it replaces the same method, so it must be imported before.
    import totalsegmentator.nnunet  # noqa: F401
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    def predict(self: Any, inputs: Any, outputs: Any, save_probabilities: bool = False, *_: Any, **__: Any) -> Any:  # noqa: FBT001, FBT002
        """Predict in this process."""
        return self.predict_from_files_sequential(inputs, outputs, save_probabilities)

    nnUNetPredictor.predict_from_files = predict


def _send(content: dict[str, Any]) -> None:
    """Write a message for the calling process, starting on a new line."""
    sys.stdout.write(f"\n{MARK}{json.dumps(content)}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the cases of the file that the command line names."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    without_processes()
    for content in request["jobs"]:
        job = Job.from_dict(content)
        _send({"begins": job.case})
        _send(_run(job, request["settings"]).as_dict())


if __name__ == "__main__":
    main()
