"""TotalSegmentator's 6 mm model as a localiser: it finds the femur in a whole CT with one or a few windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.errors import FemurError
from nnunet_femur.prediction.coarse_blocks import Blocks
from nnunet_femur.prediction.localisation import CROP_MODEL_FROM, MARGIN_MM, SPECK_ML, is_femur
from nnunet_femur.prediction.preprocessing import Preprocessed, network_spacing_mm, preprocess
from nnunet_femur.prediction.trained_model import Model
from nnunet_femur.weights.models import find_crop_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.prediction.backends.backend import Backend
    from nnunet_femur.prediction.fold_logits import FoldNetwork
    from nnunet_femur.weights.models import SourceModel

_UNCERTAIN_MM = 6.0
"""Voxel edge of this model in mm, by which its mask can be wrong."""


class CropModel:
    """TotalSegmentator's 6 mm model, which is loaded when it is needed first.

    Args:
        source: The model.
        device: Device of its network.
    """

    def __init__(self, source: SourceModel, device: torch.device) -> None:
        self._source, self._device = source, device
        self._loaded: nnUNetPredictor | None = None
        self._backend: Backend | None = None
        self._usable = True

    @classmethod
    def installed(cls, device: torch.device) -> CropModel | None:
        """Return the model if its weights are installed, else None.

        Args:
            device: Device of its network.
        """
        try:
            return cls(find_crop_model(), device)
        except FemurError:
            return None

    def prepare(
        self, voxels_zyx: NDArray, spacing_mm_zyx: Sequence[float], shape: Sequence[int], predictor: nnUNetPredictor
    ) -> Preprocessed | None:
        """Preprocess a CT for this model; None if its femur is found faster without it, or its weights are damaged.

        Args:
            voxels_zyx: The CT (z, y, x) in HU, in RAS orientation.
            spacing_mm_zyx: Its spacing in mm.
            shape: Shape of the CT that was preprocessed for the model that segments it, along the axes of its plans.
            predictor: Predictor of that model.
        """
        from nnunet_femur.prediction.sliding_window import mirror_axes_of, plan_grid

        patch = predictor.configuration_manager.patch_size
        windows = len(plan_grid(shape, patch, step_size=predictor.tile_step_size).windows)
        if windows * 2 ** len(mirror_axes_of(predictor)) < CROP_MODEL_FROM:
            return None
        if self._usable:
            try:
                return preprocess(voxels_zyx, spacing_mm_zyx, self._predictor())
            except FemurError:
                # Its weights are damaged; the femur is found without it.
                self._usable = False
        return None

    def femur_zyx(self, prepared: Preprocessed) -> NDArray[np.bool_] | None:
        """Return the femur (z, y, x) in the nonzero part of a CT; None if the model cannot compute it.

        Args:
            prepared: The CT of :meth:`prepare`.
        """
        import torch

        from nnunet_femur.prediction.fold_logits import logits_of_folds

        predictor, channels = self._predictor(), self._source.femur_channels
        try:
            found = logits_of_folds(
                predictor,
                self._network(),
                prepared.data,
                spacing_mm=self._spacing_mm(prepared),
                femur=channels,
                exhaustive=True,
            )
        except (FemurError, torch.OutOfMemoryError):
            # Its output is not finite, or the device's memory is too small; the femur is found without it.
            self._usable = False
            return None
        mask = is_femur(found.values[0], channels).cpu().numpy()
        pieces = Blocks(mask.shape, self._spacing_mm(prepared))
        counts = pieces.counted(mask, tuple(slice(0, length) for length in mask.shape))
        large = pieces.voxels(pieces.pieces(counts, smallest_ml=SPECK_ML), tuple(slice(0, n) for n in mask.shape))
        return (mask & large).transpose(predictor.plans_manager.transpose_backward)

    def _network(self) -> FoldNetwork:
        from nnunet_femur.prediction.backends.choice import backend_of

        if self._backend is None:
            self._backend = backend_of(self._predictor(), backend="auto", precision="auto", half=False)
        return self._backend

    def _spacing_mm(self, prepared: Preprocessed) -> tuple[float, ...]:
        return tuple(network_spacing_mm(self._predictor(), prepared.properties["spacing"])[1])

    def _predictor(self) -> nnUNetPredictor:
        from nnunet_femur.prediction.predictor import load_predictor

        if self._loaded is None:
            source = self._source
            model = Model(source.folder, ("0",), CHECKPOINT_FINAL, source.plans, source.dataset_json)
            self._loaded = load_predictor(model, device=self._device, mirror=False)
        return self._loaded


class CropOfCt:
    """The region that TotalSegmentator's 6 mm model finds in one CT.

    Args:
        model: The model.
        prepared: The CT, as the model's ``prepare`` returned it.
        predictor: Predictor of the model that segments the CT.
    """

    def __init__(self, model: CropModel, prepared: Preprocessed, predictor: nnUNetPredictor) -> None:
        self._model, self._prepared = model, prepared
        self._axes = predictor.plans_manager.transpose_forward

    @classmethod
    def of(cls, model: CropModel | None, prepared: Preprocessed | None, predictor: nnUNetPredictor) -> CropOfCt | None:
        """Return the localiser of a CT; None if there is no model, or if the CT was not prepared for it.

        Args:
            model: The model.
            prepared: The CT.
            predictor: Predictor of the model that segments the CT.
        """
        return None if model is None or prepared is None else cls(model, prepared, predictor)

    def region(self, blocks: Blocks, inside: Box) -> NDArray[np.bool_] | None:
        """Return the blocks around the femur; None if there is none.

        Args:
            blocks: Blocks of the padded CT.
            inside: The CT within its padding.
        """
        femur = self._model.femur_zyx(self._prepared)
        if femur is None or not femur.any():
            return None
        return region_of(femur.transpose(self._axes), blocks, inside)


def region_of(femur: NDArray[np.bool_], blocks: Blocks, inside: Box) -> NDArray[np.bool_]:
    """Return the blocks around a femur that was found on another grid over the same volume.

    Args:
        femur: The femur on the other grid.
        blocks: Blocks of the padded CT.
        inside: The CT within its padding, which the other grid covers.
    """
    found = femur
    for axis, (part, step, count) in enumerate(zip(inside, blocks.steps, blocks.counts, strict=True)):
        ratio = femur.shape[axis] / (part.stop - part.start)
        touched = np.zeros((count, femur.shape[axis]), bool)
        for block in range(part.start // step, -(-part.stop // step)):
            start, stop = max(block * step, part.start) - part.start, min((block + 1) * step, part.stop) - part.start
            touched[block, int(start * ratio + 1e-9) : math.ceil(stop * ratio - 1e-9)] = True
        found = np.moveaxis(np.tensordot(touched.astype(np.int32), found, axes=(1, axis)) > 0, 0, axis)
    return blocks.dilated(found, MARGIN_MM + _UNCERTAIN_MM)
