"""The encoder of DeepLabV3."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch

from nnunet_femur.networks import deeplabv3


def _encoder() -> torch.nn.Module:
    return smp.encoders.get_encoder(deeplabv3.NAME, depth=4, weights=None)


def test_features_are_those_of_smps_deeplabv3() -> None:
    """The same weights in the whole architecture of segmentation-models-pytorch, at the same stride and dilations."""
    whole = smp.DeepLabV3(
        "resnet50",
        encoder_weights=None,
        encoder_output_stride=16,
        decoder_atrous_rates=deeplabv3.ATROUS_RATES,
    ).eval()
    ours = _encoder().eval()
    pyramid = {f"aspp.{key}": value for key, value in whole.decoder.aspp.state_dict().items()}
    ours.load_state_dict({**whole.encoder.state_dict(), **pyramid})
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, theirs = ours(image), whole.encoder(image)
        assert [tuple(feature.shape[1:]) for feature in features] == [
            *((3, 64, 96), (64, 32, 48), (256, 16, 24), (512, 8, 12)),
            (256, 4, 6),
        ]
        for feature, their in zip(features[:4], theirs, strict=False):
            assert torch.equal(feature, their)
        assert torch.allclose(features[4], whole.decoder.aspp(theirs[-1]), atol=1e-6)


def test_weights_of_resnet50_fill_all_but_the_pyramid() -> None:
    resnet = smp.encoders.get_encoder("resnet50", weights=None)
    ours = _encoder()
    before = {key: value.clone() for key, value in ours.aspp.state_dict().items()}
    weights = resnet.state_dict()
    ours.load_state_dict({**weights, "fc.weight": torch.zeros(1), "fc.bias": torch.zeros(1)})
    loaded = ours.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    assert all(torch.equal(ours.aspp.state_dict()[key], value) for key, value in before.items())
    assert set(loaded) - set(weights) == {f"aspp.{key}" for key in before}


def test_a_missing_tensor_of_resnet50_is_refused() -> None:
    weights = smp.encoders.get_encoder("resnet50", weights=None).state_dict()
    del weights["layer4.0.conv1.weight"]
    with pytest.raises(RuntimeError, match=r"layer4.0.conv1.weight"):
        _encoder().load_state_dict(weights)


def test_a_batch_of_one_can_be_trained_on() -> None:
    """Pooling leaves one value a channel, which has no variance."""
    ours = _encoder().train()
    ours(torch.randn(1, 3, 32, 32))[-1].sum().backward()
    assert ours.aspp.convs[-1][1].weight.grad is not None
    before = ours.aspp.convs[-1][2].running_mean.clone()
    ours(torch.randn(2, 3, 32, 32))
    assert not torch.equal(ours.aspp.convs[-1][2].running_mean, before), "two are normalised as always"


def test_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder_depth"):
        smp.Unet(deeplabv3.NAME, encoder_weights=None)
