"""Tables of the benchmark of fine-tuning, from results worked by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import finetuning_tables as tables
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def _result(
    seed: int, source: list[float], last: list[float], final: list[float], *, drop: str = "a", **further: Any
) -> dict[str, Any]:
    scores = {"source": source, "last": last, "final": final, "alpha 0.5": final}
    return {
        "budget": "6 epochs, 40 iterations",
        "source": "same",
        "drop": drop,
        "recipe": "ours",
        "seed": seed,
        "training_cases": None,
        "steps": 240,
        "processor_s": 60.0,
        "choice": {"chosen": "alpha 0.5"},
        "cases": ["x", "y"],
        "scores": {name: [(value, 1.0) for value in values] for name, values in scores.items()},
        **further,
    }


RESULTS = [
    _result(0, [0.90, 0.90], [0.89, 0.87], [0.91, 0.90]),
    _result(1, [0.90, 0.90], [0.91, 0.89], [0.92, 0.91]),
]


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_a_case_of_two_trainings_counts_once() -> None:
    assert tables.dice(RESULTS, "final").to_dict() == pytest.approx({"a/x": 0.915, "a/y": 0.905})
    apart = [RESULTS[0], _result(1, [0.9, 0.9], [0.9, 0.9], [0.7, 0.8], drop="b")]
    assert len(tables.dice(apart, "final")) == 4


def test_harm() -> None:
    """Chosen: gains 0.015 and 0.005, mean 0.01; by seed 0.005 and 0.015. Last: gains 0 and -0.02."""
    assert [row[-2:] for row in _rows(tables.harm_by_seed(RESULTS))] == [["-0.0200", "+0.0050"], ["+0.0000", "+0.0150"]]
    last, chosen = _rows(tables.harm(RESULTS))
    assert (last[1:4], last[-1]) == (["2", "2", "-0.0100"], "-0.0200")
    assert (chosen[1:4], chosen[-1]) == (["2", "2", "+0.0100"], "+0.0050")
    # t = 0.01 / 0.005 = 2 with one degree of freedom: 1/2 - arctan(2) / pi.
    assert chosen[5] == "0.148"


def test_recipes_are_compared_by_shared_seeds() -> None:
    other = {**RESULTS[1], "recipe": "adapters", "scores": {"final": [(0.93, 1.0), (0.93, 1.0)]}}
    ours, adapters = _rows(tables.recipes([*RESULTS, other]))
    assert (ours[1], ours[2], ours[5]) == ("0.9100", "0.9050", "–")
    assert (adapters[1], adapters[5], adapters[8]) == ("0.9300", "+0.0150", "+0.0150")


def test_curve() -> None:
    few = [{**each, "training_cases": 4} for each in RESULTS]
    assert _rows(tables.curve([*RESULTS, *few])) == [["same, ours", "0.9100 (0.9050 to 0.9150)"]]


def test_files(tmp_path: Path) -> None:
    text = tables.write_tables(tmp_path, RESULTS)
    assert (tmp_path / "finetuning.md").read_text() == text + "\n"
    assert "Learning curve" not in text
    assert len(json.loads((tmp_path / "finetuning.json").read_text())["rows"]) == 2


def test_trainings_of_another_length_are_not_averaged_with_these(tmp_path: Path) -> None:
    longer = [{**each, "budget": "6 epochs, 60 s in all"} for each in RESULTS]
    text = tables.write_tables(tmp_path, [*RESULTS, *longer])
    alone = tables.write_tables(tmp_path, RESULTS)
    assert text == f"{alone}\n\n{alone.replace('40 iterations', '60 s in all')}"
