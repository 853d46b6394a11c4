"""Method cards from the records beside the models."""

import json

import pytest

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.report.method_cards import method_cards

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"


def _record(fold: int, **more) -> str:
    content = {
        "trainer": "FemurUnetResNet34Trainer",
        "fold": fold,
        "command": ["nnUNetv2_train", "1", "3d_fullres", str(fold)],
        "recipe": {
            "learning_rate": 3e-4,
            "encoder_weights": None,
            "deep_supervision": False,
            "slice_size": [64, 64],
            "planes": ["axial", "coronal"],
        },
        "epochs_done": 5,
        "iterations_per_epoch": 250,
        "parameters": 24_400_000,
        "seconds": 600 + fold,
        "peak_memory_mib": 2048,
        "peak_device_memory_mib": None,
        "device": "cpu",
        "versions": {"torch": "2.9.1", "segmentation_models_pytorch": "0.5"},
    }
    return json.dumps(content | more)


def _card(tree):
    (card,) = method_cards(discover(tree.results).predictions)
    return card, dict(card.facts)


def test_folds_that_agree_are_one_fact(tree):
    for fold in (0, 1):
        tree.validate(UNET, fold)
        (tree.method(UNET) / f"fold_{fold}" / "run.json").write_text(_record(fold))
    card, facts = _card(tree)
    assert (card.name, card.folder, card.runs) == ("FemurUnetResNet34 · 3d_fullres", UNET, 2)
    assert facts["Command"] == "nnUNetv2_train 1 3d_fullres FOLD"
    assert facts["Recipe"] == (
        "learning rate 0.0003, encoder weights none, deep supervision no, slice size 64 × 64, planes axial/coronal"
    )
    assert facts["Versions"] == "torch 2.9.1, segmentation_models_pytorch 0.5"
    assert facts["Epochs"] == "5 with 250 iterations each"
    assert facts["Parameters"] == "24.4 million"
    assert facts["Peak memory"] == "2.0 GiB"
    assert "Peak GPU memory" not in facts
    assert facts["Time"] == "10.0 min"


def test_folds_that_differ_are_listed_by_fold(tree):
    for fold, device in ((0, "cpu"), (1, "H100")):
        tree.validate(UNET, fold)
        (tree.method(UNET) / f"fold_{fold}" / "run.json").write_text(_record(fold, device=device, seconds=9000))
    _, facts = _card(tree)
    assert facts["Device"] == "fold 0: cpu; fold 1: H100"
    assert facts["Time"] == "2.5 h"


def test_a_method_without_folds_has_its_record_beside_it(tree):
    tree.test("TotalSegmentator__total__1.5mm")
    assert _card(tree)[0].facts == ()
    (tree.method("TotalSegmentator__total__1.5mm") / "run.json").write_text('{"device": "cpu", "seconds": 30}')
    assert _card(tree)[1] == {"Device": "cpu", "Time": "0.5 min"}


@pytest.mark.parametrize("content", ["{", "[1]", "7"])
def test_a_broken_record_is_named_and_left_out(tree, content):
    tree.test("TotalSegmentator__total__1.5mm")
    (tree.method("TotalSegmentator__total__1.5mm") / "run.json").write_text(content)
    assert _card(tree)[0].runs == 0
    (warning,) = discover(tree.results).warnings
    assert "run.json: " in warning
