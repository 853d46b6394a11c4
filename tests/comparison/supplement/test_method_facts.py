"""Facts about methods: records, plans and the origin of their weights."""

import json

import pytest

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.predictions import DERIVED
from nnunet_femur.comparison.supplement.method_facts import method_facts
from nnunet_femur.comparison.supplement.training_phrases import derivation_of

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__small"
STOCK = "nnUNetTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"

PLANS = {
    "configurations": {
        "3d_fullres": {
            "spacing": [2.0, 1.0, 1.0],
            "patch_size": [64, 64, 64],
            "batch_size": 2,
            "architecture": {"network_class_name": "some.where.PlainConvUNet"},
        },
        "small": {"inherits_from": "3d_fullres", "patch_size": [32, 32, 32]},
    }
}


def test_methods(tree):
    for method in (UNET, STOCK):
        tree.validate(method, 0)
        (tree.method(method) / "plans.json").write_text(json.dumps(PLANS))
    tree.validate(UNET, 1)
    (tree.method(UNET) / "fold_2").mkdir()  # an interrupted training
    (tree.method(UNET) / "fold_2" / "checkpoint_latest.pth").touch()
    record = {"recipe": {"encoder_weights": "imagenet"}, "versions": {"torch": "2.9"}, "parameters": 7}
    (tree.method(UNET) / "fold_1" / "run.json").write_text(json.dumps(record))
    tree.test(BASELINE)
    weights = [{"dataset": "Dataset294", "dummy": True, "sha256": "ab"}]
    settings = {"versions": {"TotalSegmentator": "2.18.0"}, "weights": weights}
    (tree.method(BASELINE) / "run.json").write_text(json.dumps({"method": "TotalSegmentator", "settings": settings}))
    by_method = {one.method: one for one in method_facts(discover(tree.results).predictions, [])}
    unet, stock, baseline = (by_method[method] for method in (UNET, STOCK, BASELINE))

    assert (unet.trainer, unet.configuration_name, unet.folds) == ("FemurUnetResNet34Trainer", "small", ("0", "1"))
    assert (unet.network, stock.network) == ("UnetResNet34", "PlainConvUNet")
    assert unet.traits.in_slices
    assert unet.configuration["patch_size"] == [32, 32, 32]
    assert "imagenet" in unet.start
    assert unet.versions == {"torch": "2.9"}
    assert stock.recipe == {}

    assert baseline.is_baseline
    assert baseline.has_dummy_weights
    assert (baseline.trainer, baseline.versions) == ("", {"TotalSegmentator": "2.18.0"})


@pytest.mark.parametrize("kind", DERIVED)
def test_a_copy_without_its_record_is_not_a_training(tree, kind):
    tree.test(f"{kind}__both__mean")
    (facts,) = method_facts(discover(tree.results).predictions, [])
    assert (facts.trainer, facts.derivation, facts.is_baseline, facts.is_from_elsewhere) == ("", kind, False, False)


def test_an_ensemble_of_methods_is_not_a_training(tree):
    tree.test("Ensemble__both__mean")
    record = {"method": "Ensemble", "recipe": {"members": ["A", "B"], "average": "mean probability"}}
    (tree.method("Ensemble__both__mean") / "run.json").write_text(json.dumps(record))
    (facts,) = method_facts(discover(tree.results).predictions, [])
    assert (facts.trainer, facts.derivation, facts.is_baseline) == ("", "Ensemble", False)
    assert derivation_of(facts).endswith("Ensemble (members: A, B; average: mean probability).")
