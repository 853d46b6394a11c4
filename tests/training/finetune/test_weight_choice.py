"""The rule of the choice on hand-worked scores, and the straight line between two networks."""

from __future__ import annotations

import json

import pytest
import torch

from nnunet_femur.training.finetune.weight_choice import (
    MOST_CASES,
    Choice,
    alpha_of,
    cases_to_score,
    choose,
    interpolate,
    interpolation_name,
)


class TestRule:
    @pytest.mark.parametrize(
        ("scores", "chosen"),
        [
            pytest.param({"source": [0.9, 0.8], "last": [0.9, 0.8]}, "source", id="a tie"),
            pytest.param({"source": [0.90, 0.80], "last": [0.8, 0.7]}, "source", id="harm"),
            pytest.param({"source": [0.90, 0.80], "last": [0.9009, 0.8009]}, "source", id="below the smallest gain"),
            pytest.param({"source": [0.90, 0.80], "last": [0.901, 0.801]}, "last", id="the smallest gain"),
            # Gains of 0.06 and -0.02: mean 0.02, standard deviation 0.0566, standard error 0.04.
            pytest.param({"source": [0.80, 0.80], "last": [0.86, 0.78]}, "source", id="within a standard error"),
            # Gains of 0.03 and 0.01: mean 0.02, standard deviation 0.0141, standard error 0.01.
            pytest.param({"source": [0.80, 0.80], "last": [0.83, 0.81]}, "last", id="beyond a standard error"),
            pytest.param({"source": [0.9], "last": [0.95]}, "last", id="one case has no standard error"),
            pytest.param(
                {"source": [0.9], "a": [0.9006], "b": [0.9012], "last": [0.9013]}, "b", id="small steps add up"
            ),
            pytest.param({"source": [0.9], "a": [0.92], "best": [0.9205], "last": [0.9]}, "a", id="nearer of equals"),
        ],
    )
    def test_prefers_what_is_near_the_source(self, scores: dict[str, list[float]], chosen: str) -> None:
        assert choose(scores) == chosen

    def test_a_network_that_diverged_is_not_chosen(self) -> None:
        assert choose({"source": [0.9, 0.8], "last": [float("nan"), 0.9]}) == "source"


class TestLine:
    def test_of_weights(self) -> None:
        source = {"w": torch.tensor([0.0, 1.0]), "steps": torch.tensor(3)}
        last = {"w": torch.tensor([1.0, -1.0]), "steps": torch.tensor(7)}
        found = interpolate(source, last, 0.75)
        assert found["w"].tolist() == [0.75, -0.5]
        assert found["steps"].item() == 7, "counters are not averaged"
        for alpha, end in ((0.0, source), (1.0, last)):
            assert torch.equal(interpolate(source, last, alpha)["w"], end["w"])

    def test_names(self) -> None:
        names = ["source", interpolation_name(0.25), interpolation_name(0.5), "last", "best"]
        assert [alpha_of(name) for name in names] == [0.0, 0.25, 0.5, 1.0, None]


class TestCases:
    @pytest.mark.parametrize("count", [1, MOST_CASES, MOST_CASES + 1, 100])
    def test_are_few_and_different(self, count: int) -> None:
        cases = [f"{number:03}" for number in range(count)]
        found = cases_to_score(cases[::-1])
        assert found == sorted(set(found)), "in the order of their ids"
        assert len(found) == min(count, MOST_CASES)
        assert found[0] == "000"


def test_the_record_is_json() -> None:
    without = Choice("last", {}, "fold all has no cases that were not trained on").as_dict()
    assert (without["candidates"], without["cases"], without["alpha"]) == ([], [], 1.0)
    scored = Choice("best", {"source": {"a": 0.5, "b": 0.7}, "best": {"a": 0.75, "b": 0.85}}, seconds=1.26).as_dict()
    assert json.loads(json.dumps(scored)) == scored
    assert [each["mean_dice"] for each in scored["candidates"]] == [0.6, 0.8]
    assert (scored["cases"], scored["seconds"], scored["alpha"]) == (["a", "b"], 1.3, None)
