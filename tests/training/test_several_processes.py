"""Trainings in three processes, through PyTorch's gloo, beside the same trainings in one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import ONE_MACHINE

pytestmark = pytest.mark.integration

RANKS = range(3)
LIMIT_S = 420


@pytest.fixture(scope="module")
def ran(
    transferred: Path, dummy_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """By scenario, the process alone and then the three."""
    from nnunet_femur.dataset.environment import variables

    folder = tmp_path_factory.mktemp("gloo")
    environment = {**os.environ, **variables(transferred), **ONE_MACHINE, "TOTALSEG_WEIGHTS_PATH": str(dummy_model)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.gloo", str(folder)],
        cwd=Path(__file__).parents[2],
        env=environment,
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, list[dict[str, Any]]] = {}
    for scenario in ("pass", "mixed", "finetune", "volumes"):
        names = [f"{scenario}_1_0", *(f"{scenario}_3_{rank}" for rank in RANKS)]
        found[scenario] = [torch.load(folder / f"{name}.pt", weights_only=False) for name in names]
    return found


class TestSlices:
    @pytest.mark.parametrize("scenario", ["pass", "mixed"])
    def test_as_many_steps_as_in_one_process(self, ran: dict, scenario: str) -> None:
        alone, *together = ran[scenario]
        assert {one["iterations"] for one in together} == {alone["iterations"]}
        assert {len(one["steps"]) for one in together} == {len(alone["steps"])} == {2 * alone["iterations"]}

    @pytest.mark.parametrize("scenario", ["pass", "mixed"])
    def test_the_same_slices_in_every_step(self, ran: dict, scenario: str) -> None:
        alone, *together = ran[scenario]
        for number, whole in enumerate(alone["steps"]):
            parts = [one["steps"][number]["keys"] for one in together]
            assert Counter(key for part in parts for key in part) == Counter(whole["keys"])
            assert max(map(len, parts)) - min(map(len, parts)) <= 1

    @pytest.mark.parametrize("scenario", ["pass", "mixed"])
    def test_the_same_weights(self, ran: dict, scenario: str) -> None:
        """Though parts of a batch differ in size, the mean of their gradients is that of the whole batch."""
        alone, *together = ran[scenario]
        for one in together:
            assert one["logged"] == pytest.approx(alone["logged"], rel=1e-4)
            for name, value in alone["weights"].items():
                assert torch.allclose(one["weights"][name].float(), value.float(), atol=2e-6), name

    def test_the_network_of_lowest_loss_is_kept_once(self, ran: dict) -> None:
        for one in (ran["pass"][0], ran["pass"][1]):
            left = {path.name for path in Path(one["folder"]).glob("checkpoint*")}
            assert left == {"checkpoint_final.pth", "checkpoint_best.pth"}
            final = torch.load(Path(one["folder"]) / "checkpoint_final.pth", weights_only=False)
            for name, value in one["weights"].items():
                assert torch.equal(final["network_weights"][name], value), name

    def test_all_cases_are_validated(self, ran: dict) -> None:
        """More processes than cases: one of them has none."""
        alone, first, *_ = ran["pass"]
        names = [sorted(path.name for path in (Path(one["folder"]) / "validation").glob("*")) for one in (alone, first)]
        assert names[0] == names[1]
        assert any(name.endswith(".nrrd") for name in names[0])


class TestFinetune:
    def test_the_same_weights_and_average(self, ran: dict) -> None:
        """The heads alone in the first epoch, then all; the exponential average is the last of the candidates."""
        alone, *together = ran["finetune"]
        checkpoints = [
            torch.load(Path(one["folder"]) / "checkpoint_final.pth", weights_only=False) for one in (alone, together[0])
        ]
        choices = [checkpoint["femur_choice"] for checkpoint in checkpoints]
        assert choices[0]["chosen"] == choices[1]["chosen"]
        for own, shared in zip(*(choice["candidates"] for choice in choices), strict=True):
            assert own["dice"] == pytest.approx(shared["dice"], abs=1e-3), "each case was predicted by one process"
        last = [checkpoint.get("femur_last_weights", checkpoint["network_weights"]) for checkpoint in checkpoints]
        for pair in (last, [checkpoint["femur_raw_weights"] for checkpoint in checkpoints]):
            for name, value in pair[0].items():
                assert torch.allclose(pair[1][name].float(), value.float(), atol=1e-7), name
        raw, averaged = checkpoints[1]["femur_raw_weights"], last[1]
        moved = max(float((raw[name].float() - averaged[name].float()).abs().max()) for name in raw)
        assert moved > 1e-5, "steps are long beside the tolerance"
        for one in together:
            assert {len(each["steps"]) for each in (one, alone)} == {6}
            for name, value in together[0]["weights"].items():
                assert torch.equal(one["weights"][name], value), "every process ends with the same network"


class TestVolumes:
    def test_processes_draw_different_patches_under_a_seed(self, ran: dict) -> None:
        _, *together = ran["volumes"]
        drawn = [one["first_batch"] for one in together]
        flat = [batch[0].flatten().numpy() for batch in drawn]
        assert not any(np.array_equal(flat[a], flat[b]) for a in RANKS for b in RANKS if a < b)

    def test_they_end_with_one_network(self, ran: dict) -> None:
        _, first, *others = ran["volumes"]
        for other in others:
            for name, value in first["weights"].items():
                assert torch.allclose(other["weights"][name], value), name
