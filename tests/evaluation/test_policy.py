"""What empty masks score."""

import numpy as np

from nnunet_femur.evaluation import METRICS, STRICT, EmptyPolicy, Overlap

# Neither empty, both empty, only the truth empty, only the prediction empty.
PAIRS = Overlap(np.array([1, 0, 0, 0]), np.array([2, 0, 0, 5]), np.array([2, 0, 3, 0]))


def test_strict_scores_every_kind_of_emptiness():
    scores = {name: STRICT.applied(name, metric.compute(PAIRS), PAIRS).tolist() for name, metric in METRICS.items()}
    assert scores == {"dice": [0.5, 1, 0, 0], "iou": [1 / 3, 1, 0, 0], "vs": [1, 1, 2, 0]}


def test_a_metric_that_is_not_named_keeps_its_value():
    policy = EmptyPolicy("silent", both_empty={}, truth_empty={"dice": 0.25}, prediction_empty={})
    values = policy.applied("dice", METRICS["dice"].compute(PAIRS), PAIRS)
    assert np.array_equal(values, [0.5, np.nan, 0.25, 0], equal_nan=True)


def test_sentences_state_every_kind():
    assert STRICT.sentences({"dice": "Dice", "iou": "IoU", "vs": "VS"}) == [
        "Truth and prediction empty: Dice 1, IoU 1, VS 1.",
        "Only the truth empty (a false find): Dice 0, IoU 0, VS 2.",
        "Only the prediction empty (a miss): Dice 0, IoU 0, VS 0.",
    ]
