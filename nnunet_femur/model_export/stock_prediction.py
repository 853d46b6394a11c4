"""Predict a CT with nnU-Net's own predictor, fold by fold; a program that imports nothing of this package.

It is called as ``python stock_prediction.py REQUEST``, where the request is JSON: ``model`` (folder), ``ct`` (file),
``device``, and ``outputs`` (the file to write without its ending, by fold).
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Predict as ``nnUNetv2_predict`` does, without its worker processes."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    request = json.loads(sys.argv[1])
    predictor = nnUNetPredictor(device=torch.device(request["device"]), allow_tqdm=False)
    for fold, output in request["outputs"].items():
        predictor.initialize_from_trained_model_folder(request["model"], (fold,), "checkpoint_final.pth")
        # One after another: save_probabilities, overwrite, folder of the previous stage.
        predictor.predict_from_files_sequential([[request["ct"]]], [output], False, True, None)  # noqa: FBT003


if __name__ == "__main__":
    main()
