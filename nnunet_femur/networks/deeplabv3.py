"""The encoder of DeepLabV3, for decoders that look up features by resolution: ResNet50, dilated, with ASPP."""

from __future__ import annotations

from typing import Any

import torch
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP
from segmentation_models_pytorch.encoders import encoders
from segmentation_models_pytorch.encoders.resnet import ResNetEncoder
from torch import nn

NAME = "deeplabv3-resnet50"
"""The name in the encoder registry of segmentation-models-pytorch."""

OUTPUT_STRIDE = 16
"""Output stride: the last stage of ResNet50 is dilated instead of halving the image a fifth time."""

ATROUS_RATES = (6, 12, 18)
"""Dilations of the pyramid's three convolutions, from Chen et al. (2017) for output stride 16."""

_ASPP_CHANNELS = 256
_ASPP_DROPOUT = 0.5
_DEPTH = 4


class DeepLabV3Encoder(ResNetEncoder):
    """ResNet50 at output stride 16, and atrous spatial pyramid pooling as its deepest feature.

    It returns the features of an image of shape (batch, 3, rows, columns): the image; 64 channels at half the
    resolution; 256 at a quarter; 512 at an eighth; and the pyramid's 256 at a sixteenth. Weights of ResNet50 can be
    loaded.

    Args:
        depth: Number of halvings; must be 4.
        output_stride: Ignored. Decoders pass it to any encoder; the stride of this one is always 16.
        settings: Arguments of :class:`~segmentation_models_pytorch.encoders.resnet.ResNetEncoder`.

    Raises:
        ValueError: The depth is not 4.
    """

    def __init__(self, *, depth: int = _DEPTH, output_stride: int = OUTPUT_STRIDE, **settings: Any) -> None:  # noqa: ARG002
        if depth != _DEPTH:
            msg = f"encoder_depth must be {_DEPTH} for the encoder of DeepLabV3, got {depth}."
            raise ValueError(msg)
        channels = [3, 64, 256, 512, _ASPP_CHANNELS]
        super().__init__(out_channels=channels, depth=depth, output_stride=OUTPUT_STRIDE, **settings)
        self.make_dilated(OUTPUT_STRIDE)
        deepest = self.layer4[-1].conv3.out_channels
        self.aspp = ASPP(deepest, _ASPP_CHANNELS, ATROUS_RATES, separable=False, dropout=_ASPP_DROPOUT)
        pooling = self.aspp.convs[-1]
        pooling[2] = _NormOfPooled(_ASPP_CHANNELS)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the image and four features, from the finest to the deepest."""
        features = super().forward(x)
        return [*features[:_DEPTH], self.aspp(self.layer4(features[_DEPTH]))]

    def load_state_dict(self, state_dict: dict[str, torch.Tensor], **options: Any) -> Any:
        """Load weights of this encoder or of ResNet50; tensors of the pyramid that they lack keep their values."""
        own = self.state_dict()
        pyramid = {key: value for key, value in own.items() if key.startswith("aspp.") and key not in state_dict}
        return super().load_state_dict({**state_dict, **pyramid}, **options)


class _NormOfPooled(nn.BatchNorm2d):
    """Batch normalisation after pooling over the whole image, which leaves one value for each channel and image.

    A batch of one image has no variance, so stock batch normalisation refuses it. This one normalises it as at
    prediction.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise pooled features, shape (batch, channels, 1, 1)."""
        if self.training and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


encoders[NAME] = {
    "encoder": DeepLabV3Encoder,
    "pretrained_settings": encoders["resnet50"]["pretrained_settings"],
    "params": {key: value for key, value in encoders["resnet50"]["params"].items() if key != "out_channels"},
}
