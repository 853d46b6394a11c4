"""Scores of empty masks."""

import numpy as np

from nnunet_femur.evaluation import METRICS, OVERLAP_METRICS, POLICIES, STRICT, EmptyPolicy, Overlap, find_policy
from tests.refusing import names, refused

# Neither empty, both empty, only the reference empty, only the prediction empty.
PAIRS = Overlap(np.array([1, 0, 0, 0]), np.array([2, 0, 0, 5]), np.array([2, 0, 3, 0]))


def test_strict_scores_of_every_kind_of_emptiness():
    scores = {
        name: STRICT.applied(name, metric.compute(PAIRS), PAIRS).tolist() for name, metric in OVERLAP_METRICS.items()
    }
    assert scores == {
        "dice": [0.5, 1, 0, 0],
        "iou": [1 / 3, 1, 0, 0],
        "vs": [1, 1, 2, 0],
        "avs": [1, 1, 0, 0],
        "precision": [0.5, 1, 0, 0],
        "recall": [0.5, 1, 0, 0],
    }


def test_every_preset_has_all_metrics_or_none():
    for policy in POLICIES.values():
        for kind in (policy.both_empty, policy.reference_empty, policy.prediction_empty):
            assert set(kind) in (set(METRICS), set())


def test_a_metric_that_is_not_named_keeps_its_value():
    policy = EmptyPolicy("silent", "", both_empty={}, reference_empty={"dice": 0.25}, prediction_empty={})
    values = policy.applied("dice", METRICS["dice"].compute(PAIRS), PAIRS)
    assert np.array_equal(values, [0.5, np.nan, 0.25, 0], equal_nan=True)


def test_sentences_state_every_kind():
    both, reference, prediction = STRICT.sentences({"dice": "Dice", "iou": "IoU", "vs": "VS", "hd95": "HD95"})
    assert names(both, "Dice, IoU, VS 1", "HD95 0")
    assert names(reference, "Dice, IoU 0", "VS 2", "HD95", "diagonal")
    assert names(prediction, "Dice, IoU, VS 0", "HD95", "diagonal")
    assert len(POLICIES["formula"].sentences({"dice": "Dice"})) == 3


def test_find_policy():
    assert find_policy("brats") is POLICIES["brats"]
    assert find_policy(STRICT) is STRICT
    with refused("invalid-option", "lenient", *POLICIES):
        find_policy("lenient")
