"""The numbers that a network calculates with at prediction: float32, or half precision where it was asked for."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_femur.networks.precision import calculating_in, precision_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class PrecisePredictor(nnUNetPredictor):
    """nnU-Net's predictor, whose network calculates in float32 unless half precision was asked for.

    On CUDA nnU-Net always predicts under an autocast to float16; it is switched off around the network here.
    """

    half: bool = False

    def _internal_maybe_mirror_and_predict(self, x: torch.Tensor) -> torch.Tensor:
        single = not self.half and torch.is_autocast_enabled(x.device.type)
        with torch.autocast(x.device.type, enabled=False) if single else nullcontext():
            return super()._internal_maybe_mirror_and_predict(x)


@contextmanager
def calculating(predictor: nnUNetPredictor, *, half: bool) -> Iterator[None]:
    """Let a predictor's network calculate in half precision, or in float32, without TensorFloat-32 on GPUs.

    Networks of slices that choose bfloat16 by themselves are told too.

    Args:
        predictor: The predictor; half precision on GPUs is what nnU-Net's own predictor does.
        half: Whether half precision is asked for, see :func:`precision_of`.
    """
    predictor.half = half
    with calculating_in(predictor.network, precision_of(predictor.device, half=half)):
        yield
