"""Dice of a network on whole validation cases, while its trainer holds it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nnunetv2.evaluation.evaluate_predictions import compute_tp_fp_fn_tn, region_or_label_to_mask
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from nnunet_femur.training.checked_trainer import CheckedTrainer


def volume_dice(
    trainer: CheckedTrainer, cases: Iterable[str], *, merge: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> dict[str, float]:
    """Return the Dice of each case on the grid of its CT, as nnU-Net's final validation computes it without `merge`.

    Cases are predicted by nnU-Net's sliding window from their preprocessed arrays, without mirroring if the trainer
    mirrors nothing, and compared with the masks in ``gt_segmentations``.

    Args:
        trainer: An initialized trainer. Its network is set to evaluation.
        cases: Identifiers of the cases.
        merge: Function of the logits, shape (channels, z, y, x), to one channel for each label of the dataset. It is
            applied after windows are added up and before resampling; None: the network outputs these channels.

    Returns:
        Mean Dice over the labels that prediction or reference contain; 1 if both contain none.
    """
    bare, plans = trainer.bare_network, trainer.plans_manager
    trainer.set_deep_supervision_enabled(False)
    on_device = trainer.device.type == "cuda"
    predictor = nnUNetPredictor(device=trainer.device, perform_everything_on_device=on_device, allow_tqdm=False)
    predictor.manual_initialization(
        bare,
        plans,
        trainer.configuration_manager,
        None,
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    identifiers = list(cases)
    dataset = trainer.dataset_class(trainer.preprocessed_dataset_folder, identifiers)
    found = {}
    with torch.no_grad():
        for case in identifiers:
            data, _, _, properties = dataset.load_case(case)
            with warnings.catch_warnings():
                # The array of a file is not writable, and nothing writes to it.
                warnings.simplefilter("ignore")
                logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(data[:])).cpu()
            predicted = convert_predicted_logits_to_segmentation_with_correct_shape(
                logits if merge is None else merge(logits),
                plans,
                trainer.configuration_manager,
                trainer.label_manager,
                properties,
                num_threads_torch=torch.get_num_threads(),
            )
            found[case] = mean_dice(_reference(trainer, case), predicted, trainer.label_manager)
    trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    return found


def _reference(trainer: CheckedTrainer, case: str) -> NDArray[Any]:
    folder = Path(trainer.preprocessed_dataset_folder_base) / "gt_segmentations"
    reader = trainer.plans_manager.image_reader_writer_class()
    mask: NDArray[Any] = reader.read_seg(str(folder / f"{case}{trainer.dataset_json['file_ending']}"))[0][0]
    return mask


def mean_dice(reference: NDArray[Any], predicted: NDArray[Any], labels: Any) -> float:
    """Return the mean Dice over the labels, or regions, that at least one of two masks contains.

    Args:
        reference: Reference mask, shape (z, y, x).
        predicted: Predicted mask of the same shape.
        labels: nnU-Net's label manager. Voxels with its ignore label do not count.

    Returns:
        The mean; 1 if neither mask contains a label.
    """
    ignored = reference == labels.ignore_label if labels.has_ignore_label else None
    values = []
    for each in labels.foreground_regions if labels.has_regions else labels.foreground_labels:
        masks = (region_or_label_to_mask(mask, each) for mask in (reference, predicted))
        shared, extra, missed, _ = compute_tp_fp_fn_tn(*masks, ignored)
        if shared + extra + missed:
            values.append(2 * shared / (2 * shared + extra + missed))
    return float(np.mean(values)) if values else 1.0
