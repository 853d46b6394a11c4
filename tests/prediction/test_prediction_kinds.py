"""The review score, and the table of kinds of findings about a prediction."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nnunet_femur.findings import Severity
from nnunet_femur.kinds import KINDS
from nnunet_femur.prediction.prediction_kinds import PREDICTION_KINDS, WEIGHTS, predicted, review_score


@pytest.mark.parametrize("kind", PREDICTION_KINDS.values(), ids=PREDICTION_KINDS)
def test_every_kind_has_a_remedy_and_a_weight(kind) -> None:
    assert kind.severity is Severity.WARNING
    assert kind.meaning
    assert kind.remedy.endswith(".")
    assert 0 < WEIGHTS[kind.code] <= 1
    found = predicted(kind.code, "L001", "is odd.")
    assert (found.code, found.file, found.remedy) == (kind.code, "L001", kind.remedy)


def test_no_code_has_two_meanings() -> None:
    assert not set(PREDICTION_KINDS) & set(KINDS)
    assert set(WEIGHTS) == set(PREDICTION_KINDS) | set(KINDS)


class TestReviewScore:
    def test_by_hand(self) -> None:
        assert review_score([]) == 0.0
        assert review_score(["pieces"]) == pytest.approx(0.3)
        assert review_score(["pieces", "volume"]) == pytest.approx(1 - 0.7 * 0.4)
        assert review_score(["pieces"], 0.5) == pytest.approx(1 - 0.7 * 0.5)
        assert review_score([], 0.02) == pytest.approx(0.02)

    def test_a_code_counts_once(self) -> None:
        assert review_score(["pieces", "pieces"]) == review_score(["pieces"])

    def test_no_femur_is_the_worst(self) -> None:
        assert review_score(["no-femur"]) == 1.0

    def test_notes_do_not_count_and_unknown_codes_do(self) -> None:
        assert review_score(["padding", "image-direction"]) == 0.0
        assert review_score(["metal"]) == review_score(["a-code-of-a-later-version"]) == pytest.approx(0.2)

    def test_never_falls_with_a_further_finding(self) -> None:
        scores = [review_score(list(WEIGHTS)[:count]) for count in range(len(WEIGHTS) + 1)]
        assert all(first <= second for first, second in pairwise(scores))
        assert min(scores) >= 0
        assert max(scores) <= 1

    def test_rises_with_the_disagreement(self) -> None:
        scores = [review_score(["fragments"], share / 10) for share in range(11)]
        assert all(first < second for first, second in pairwise(scores))
        assert scores[-1] == 1.0
