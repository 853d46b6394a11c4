"""The gains of recipes, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from slice_recipe_tables import gain_of, gains_table


def _runs(name: str, *dice: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "recipe": name,
            "seed": seed,
            "cases": [f"L{n}" for n in range(len(values))],
            "dice": values,
            "hd95": [10.0] * len(values),
            "steps": 100,
            "prediction_s": 1.0,
        }
        for seed, values in enumerate(dice)
    ]


OURS = _runs("ours", *([each + d for each in (0.80, 0.90, 0.70, 0.85, 0.75)] for d in (0.0, 0.01, -0.01)))


def test_gain_by_case_and_by_seed() -> None:
    """Means of the seeds are 0.80, 0.81, 0.79: a deviation of 0.01. The cases gain 0.04 on average for every seed."""
    better = _runs(
        "b", *([d + g for d, g in zip(run["dice"], (0.03, 0.04, 0.05, 0.04, 0.04), strict=True)] for run in OURS)
    )
    gain = gain_of(better, OURS)
    assert gain.claim.gain == pytest.approx(0.04)
    assert gain.by_seed == pytest.approx((0.04, 0.04, 0.04))
    assert gain.spread == pytest.approx(0.01)
    # Student's t of 0.04 / (0.00707 / sqrt(5)) = 12.65 with four degrees of freedom.
    assert gain.claim.false == pytest.approx(1.12e-4, abs=2e-6)
    assert gain.is_kept


@pytest.mark.parametrize(
    ("gains", "seeds"),
    [
        ((0.005, 0.005, 0.006, 0.005, 0.005), 3),
        ((0.12, -0.01, 0.0, 0.0, 0.0), 3),
        ((0.03, 0.04, 0.05, 0.04, 0.04), 2),
    ],
    ids=["within the spread of seeds", "by one case", "two seeds"],
)
def test_gains_that_are_not_kept(gains: tuple[float, ...], seeds: int) -> None:
    other = _runs("b", *([d + g for d, g in zip(run["dice"], gains, strict=True)] for run in OURS[:seeds]))
    assert not gain_of(other, OURS).is_kept


def test_only_shared_seeds_and_cases_count() -> None:
    other = _runs("b", [0.9, 0.9, 0.9], [0.9, 0.9, 0.9])[1:]
    gain = gain_of(other, OURS)
    assert gain.by_seed == pytest.approx((0.09,))
    assert gain.claim.gain == pytest.approx(0.09)


def test_table() -> None:
    other = _runs("b", *([d + 0.02 for d in run["dice"]] for run in OURS[:2]))
    text = gains_table([*OURS, *other], against="ours").splitlines()
    assert len(text) == 4
    assert "| ours | 3 | 100 | 0.8000 (0.0100) | 10.0 | – |" in text[2]
    assert "| +0.0200 | +0.0200 to +0.0200 |" in text[3]
