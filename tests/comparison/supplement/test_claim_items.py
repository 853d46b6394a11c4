"""The checklist: which items the files of a study answer, and with which facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, PROTOCOL
from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.report.report import Report
from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.endpoint_statistics import EndpointStatistics, GroupEndpoints
from nnunet_femur.comparison.statistics.margins import Margins
from nnunet_femur.comparison.supplement.claim_items import FILLED, MISSING, PARTLY, claim_items, claim_page
from nnunet_femur.comparison.supplement.claim_topics import TOPICS
from nnunet_femur.comparison.supplement.method_model_cards import method_card_pages
from nnunet_femur.comparison.supplement.methods_text import methods_page
from nnunet_femur.comparison.supplement.pages import markdown
from nnunet_femur.comparison.supplement.study_facts import gather_facts
from tests.refusing import names

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
FINETUNE = "FemurFinetuneTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"

RECORD = {
    "command": ["nnUNetv2_train", "1", "3d_fullres", "0"],
    "recipe": {"learning_rate": 3e-4, "optimizer": "Adam", "loss": "cross_entropy", "augment": False, "seed": 7},
    "epochs_done": 2,
    "iterations_per_epoch": 50,
    "final_network": "lowest_loss",
    "parameters": 24_400_000,
    "device": "cpu",
    "versions": {"torch": "2.9.1", "nnunetv2": "2.8.1"},
    "curves": {"train_loss": [0.4, 0.2], "validation_loss": [], "pseudo_dice": [0.5, 0.6], "seconds": [30, 30]},
}
CONVERSION = {
    "options": {"seed": 3, "split": "24/8/8", "min_volume_ml": 50.0},
    "decisions": {"orientation": "RAS", "image": "int16 HU", "mask": "uint8", "split": "whole patients"},
    "given_sets": 0,
    "left_out": [{"case": "L9"}],
}
PLANS = {
    "foreground_intensity_properties_per_channel": {
        "0": {"percentile_00_5": -50.0, "percentile_99_5": 1500.0, "mean": 400.0, "std": 300.0}
    },
    "configurations": {
        "3d_fullres": {
            "spacing": [2.0, 1.0, 1.0],
            "patch_size": [64, 64, 64],
            "batch_size": 2,
            "normalization_schemes": ["CTNormalization"],
            "resampling_fn_data_kwargs": {"order": 3},
            "architecture": {"network_class_name": "some.where.PlainConvUNet"},
        }
    },
}


@pytest.fixture
def facts(tree):
    """Facts of two trained methods and TotalSegmentator on two test cases."""
    (tree.raw / "conversion.json").write_text(json.dumps(CONVERSION))
    for method, shift in ((UNET, 0), (FINETUNE, 1)):
        tree.test(method, "fold_0/test", shift=shift)
        (tree.method(method) / "plans.json").write_text(json.dumps(PLANS))
    (tree.method(UNET) / "fold_0" / "run.json").write_text(json.dumps(RECORD))
    choice = {
        "chosen": "source",
        "reason": None,
        "cases": ["L1"],
        "candidates": [{"name": "source", "mean_dice": 0.9}, {"name": "last", "mean_dice": 0.89}],
    }
    (tree.method(FINETUNE) / "fold_0" / "run.json").write_text(json.dumps(RECORD | {"choice": choice}))
    tree.test(BASELINE, shift=2)
    settings = {"weights": [{"dataset": "Dataset294", "dummy": True, "sha256": "ab"}]}
    (tree.method(BASELINE) / "run.json").write_text(json.dumps({"method": "TotalSegmentator", "settings": settings}))
    return facts_of(tree)


def facts_of(tree):
    found = discover(tree.results)
    scored = score_predictions(found.predictions)
    margins = Margins("TotalSegmentator", {"dice": 0.01})
    statistics = analyse_groups(group_scores(scored.scores, ends_only=scored.ends_only), margins=margins)
    report = Report(
        datasets=[tree.dataset], tables=[], drawings=[], cards=[], complete=True, warnings=[], notes=[],
        cautions=["With 2 patients, no difference can be significant."],
    )  # fmt: skip
    return gather_facts(found, report, statistics=statistics)


def _items(facts):
    return {item.topic.number: item for item in claim_items(facts)}


def test_the_checklist_has_44_items_in_order():
    assert [topic.number for topic in TOPICS] == [*range(1, 45)]
    assert len({topic.name for topic in TOPICS}) == 44


def test_states(facts):
    items = _items(facts)
    filled = {number for number, item in items.items() if item.state == FILLED}
    missing = {number for number, item in items.items() if item.state == MISSING}
    assert filled >= {9, 10, 12, 19, 20, 23, 25, 26, 27, 28, 29, 32, 37}
    assert missing >= {2, 3, 4, 5, 11, 14, 15, 16, 17, 30, 31, 33, 34, 41, 44}
    assert items[8].state == PARTLY
    for item in items.values():
        assert ("to be filled in" in item.text) is (item.state != FILLED), item.topic.number


def test_facts_of_the_data(facts):
    items = _items(facts)
    assert names(items[7].text, "Dataset001_Femur", "7 CTs", "5 cases of 5 patients", "2 cases of 2 patients", "4 L")
    assert names(items[8].text, "50 ml", "1 case left out")
    assert names(items[9].text, "RAS", "int16 HU", "2 × 1 × 1 mm", "order 3", "−50 to 1500", "mean 400")
    assert names(items[19].text, "seed (3)", "24/8/8", "whole patients", "fold 0: 4/1", "fold 5: 3/2")
    assert items[20].text.startswith("Patient.")


@pytest.mark.parametrize(
    ("given", "expected"), [(0, ("assigned the patients",)), (7, ("7 cases", "kept")), (None, ("to be filled in",))]
)
def test_sets_that_were_given_are_not_called_assigned(facts, given, expected):
    """Records of version 0.1 do not contain whether sets were given, such as by --test-ids."""
    (dataset,) = facts.datasets
    conversion = {**CONVERSION, "given_sets": given}
    item = _items(replace(facts, datasets=(replace(dataset, conversion=conversion),)))[19]
    assert names(item.text, *expected)
    assert item.state == (PARTLY if given is None else FILLED)


def test_facts_of_training_and_results(facts):
    items = _items(facts)
    assert names(items[23].text, "torch 2.9.1", "nnunetv2 2.8.1")
    assert names(
        items[25].text, "FemurUnetResNet34Trainer", "2 epochs of 50 steps", "Adam", "0.0003", "seed 7", "1.0 min"
    )
    assert names(items[26].text, "epoch of the lowest training loss", "source 0.9000, last 0.8900", "optimistic")
    assert names(items[6].text, "3 methods", "2 cases", "TotalSegmentator", "3D Dice 0.01")
    # Boxes that are moved by none, one and two of four slices.
    assert names(items[37].text, "1.000", "0.750", "0.500", "n = 2")
    assert names(items[39].text, "L6 (0.750)", "L6 (0.500)")
    assert names(items[40].text, "With 2 patients", "Dummy weights", BASELINE.partition("__")[0])
    assert names(items[42].text, "`nnUNetv2_train 1 3d_fullres 0`")


def test_margins_of_measurements_are_named_too(facts):
    (one,) = facts.statistics
    angle = Measure(PROTOCOL, "absolute", "whole", "mldfa_deg")
    statistics = replace(one.measures[DICE], measure=angle)
    endpoint = EndpointStatistics(ENDPOINTS["mldfa_deg"], one.group, statistics, (), ())
    measured = replace(facts, endpoints=[GroupEndpoints(one.group, {"mldfa_deg": endpoint})])
    assert names(_items(measured)[29].text, "3D Dice 0.01", "absolute error 0.01 °")


def test_answers_of_the_authors_complete_an_item(facts):
    items = _items(replace(facts, answers={5: "Retrospective.", 8: "Adults after trauma."}))
    assert (items[5].state, items[5].text) == (FILLED, "Retrospective.")
    assert items[8].state == FILLED
    assert names(items[8].text, "50 ml", "Adults after trauma.")


def test_a_patient_in_two_sets_is_not_called_disjoint(tree):
    rows = ["case,patient,side,set", "L1,p1,left,train", "L6,p1,left,test"]
    (tree.raw / "cases.csv").write_text("\n".join(rows) + "\n")
    tree.test(BASELINE)
    text = _items(facts_of(tree))[20].text
    assert names(text, "p1")
    assert not text.startswith("Patient.")


def test_disjoint_only_if_every_patient_is_known(tree):
    rows = ["case,patient,side,set", "L1,p1,left,train", "L6,p6,left,test"]
    (tree.raw / "cases.csv").write_text("\n".join(rows) + "\n")
    tree.test(BASELINE)
    assert _items(facts_of(tree))[20].state == MISSING


def test_an_answer_does_not_hide_a_gap_of_the_files(facts):
    methods = tuple(replace(one, records=()) if FINETUNE in one.method else one for one in facts.methods)
    item = _items(replace(facts, methods=methods, answers={26: "Ours."}))[26]
    assert names(item.text, "to be filled in: choice of the final network", "Ours.")
    assert item.state == PARTLY


def test_incomplete_sets_are_not_called_scored(facts):
    assert "Every case" in _items(facts)[10].text
    assert "Every case" not in _items(replace(facts, report=replace(facts.report, complete=False)))[10].text


def test_phantoms_are_not_called_patients(tree):
    cases = ["L1", "L2", "L3", "L4", "R5", "L6", "R7"]
    (tree.base / "drop").mkdir()
    (tree.base / "drop" / "phantoms.json").write_text(json.dumps({"cases": cases}))
    tree.test(BASELINE)
    facts = facts_of(tree)
    items = _items(facts)
    assert names(items[7].text, "7 synthetic phantoms")
    assert "of 5 patients" not in items[7].text
    assert "phantoms" in items[40].text
    (card,) = method_card_pages(facts)
    assert "do not carry over to patients" in markdown(card)
    assert "synthetic phantoms" in markdown(methods_page(facts))


def test_little_is_known_of_masks_from_elsewhere(tree, tmp_path):
    """Neither a record nor plans, a conversion or a table of patients: nothing is made up."""
    (tree.raw / "cases.csv").unlink()
    folder = tree.test("mine", "masks")
    found = discover(None, raw=None, reference=tree.raw / "labelsTs", methods={"mine": folder})
    scored = score_predictions(found.predictions)
    report = Report(datasets=["labelsTs"], tables=[], drawings=[], cards=[], complete=True, warnings=[], notes=[])
    facts = gather_facts(found, report, statistics=analyse_groups(group_scores(scored.scores)))
    items = _items(facts)
    assert {number for number in (9, 10, 19, 20, 22, 23, 24, 25, 26) if items[number].state != MISSING} == set()
    # Their network is unknown, so it may be an ensemble, and may have been trained on these cases.
    assert items[27].state != FILLED
    assert items[32].state == MISSING
    assert items[37].state == FILLED


def test_page(facts):
    text = markdown(claim_page(claim_items(facts)))
    assert sum(line.startswith("| ") for line in text.splitlines()) == 46, "a head, a rule and 44 items"
    assert "e240300" in text


class TestMethodsPage:
    def test_facts(self, facts):
        text = markdown(methods_page(facts))
        assert names(text, "7 CTs", "seed (3)", "FemurUnetResNet34Trainer", "2 epochs of 50 steps", "−50 to 1500")
        assert names(
            text, "Wilcoxon", "2000 samples", "Holm", "2505.04720", "strict", "TotalSegmentator", "dummy weights"
        )
        assert names(text, "HD95", "to be filled in: prospective or retrospective")

    def test_answers(self, facts):
        text = markdown(methods_page(replace(facts, answers={5: "The study was retrospective."})))
        assert "The study was retrospective." in text
        assert "prospective or retrospective" not in text


class TestCards:
    def test_of_a_trained_method(self, facts):
        cards = {page.title: markdown(page) for page in method_card_pages(facts)}
        assert len(cards) == 3
        text = cards["Model card: FemurUnetResNet34 · 3d_fullres"]
        assert names(text, "24,400,000", "2 × 1 × 1 mm", "| learning_rate | 0.0003 |", "4 for training, 1 for")
        assert names(text, "| Test set | 2 | 1.000 ± 0.000", "still falling", "not a medical device")
        assert names(
            cards["Model card: FemurFinetune · 3d_fullres"],
            "the weights that were fine-tuned",
            "0.9000",
            "64 × 64 × 64",
        )

    def test_of_a_baseline_with_dummy_weights(self, facts):
        text = next(markdown(page) for page in method_card_pages(facts) if "TotalSegmentator" in page.title)
        assert names(text, "Dataset294", "Dummy weights", "Never use this model", "not of this study")
        assert not names(text, "Apache-2.0")
