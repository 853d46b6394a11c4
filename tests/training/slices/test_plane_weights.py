"""Learned weights of planes: the algorithm against SciPy, and a training that ends with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.training.slices import plane_weights
from nnunet_femur.training.slices.plane_weights import differing, mixture_weights
from tests.training.making import make_trainer


class TestMixtureWeights:
    def test_equal_planes_have_equal_weights(self) -> None:
        assert mixture_weights(np.full((5, 4), 0.7)) == pytest.approx([0.25] * 4)

    def test_equals_a_general_optimizer(self) -> None:
        rng = np.random.default_rng(0)
        given = rng.uniform(0.05, 1, (400, 3)) ** [0.5, 1.0, 2.0]

        def loss(weights: np.ndarray) -> float:
            return -float(np.log(given @ weights).mean())

        bounds, total = [(0, 1)] * 3, {"type": "eq", "fun": lambda weights: weights.sum() - 1}
        best = minimize(loss, [1 / 3] * 3, bounds=bounds, constraints=total, tol=1e-12)
        found = mixture_weights(given)
        assert found == pytest.approx(best.x, abs=0.01)
        assert loss(found) == pytest.approx(best.fun, abs=1e-5)

    def test_a_plane_that_is_always_worse_is_left_out(self) -> None:
        assert mixture_weights(np.array([[0.9, 0.1], [0.8, 0.3]])).tolist() == [1.0, 0.0]

    def test_impossible_labels_do_not_matter(self) -> None:
        assert np.isfinite(mixture_weights(np.zeros((3, 2)))).all()


def test_differing_voxels_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_weights, "_VOXELS", 10)
    given = np.stack((np.linspace(0, 1, 100), np.zeros(100)), axis=1)
    found = differing(given)
    assert found.shape == (10, 2)
    assert (found[:, 0] > 0.02).all()
    assert np.array_equal(found, differing(given))


@pytest.mark.parametrize(
    ("length", "femur", "largest", "expected"),
    [
        (40, (5, 9), 50, (0, 40)),
        (40, (30, 39), 20, (20, 40)),
        (40, (0, 9), 20, (0, 20)),
        (40, (15, 25), 20, (10, 30)),
    ],
)
def test_pieces_contain_the_femur(length: int, femur: tuple[int, int], largest: int, expected: tuple[int, int]) -> None:
    found = plane_weights._piece(length, femur, largest)
    assert (found.start, found.stop) == expected


@pytest.mark.integration
class TestTraining:
    """One epoch of one batch; the fake network is right in coronal slices and uninformed in others."""

    @pytest.fixture
    def results(self, nnunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        assert nnunet.is_dir()
        monkeypatch.setenv("nnUNet_results", str(tmp_path))
        return tmp_path

    def test_the_final_network_has_the_better_weights(self, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert results.is_dir()
        recipe: dict[str, Any] = {"epochs": 1, "iterations_per_epoch": 1, "batch_size": 2, "slice_size": [32, 32]}
        recipe["plane_weights"] = "validation"
        trainer = make_trainer("FemurUnetMobileNetV3Trainer", **recipe)
        trainer.initialize()
        case = trainer.do_split()[1][0]
        monkeypatch.setattr(trainer, "do_split", lambda: (trainer.__class__.do_split(trainer)[0], [case]))
        mask: dict[str, torch.Tensor] = {}

        def of_plane(network: ThreePlaneNetwork, volumes: torch.Tensor, axis: int) -> torch.Tensor:
            if not mask:
                files = trainer.dataset_class(trainer.preprocessed_dataset_folder, [case])
                mask["femur"] = torch.from_numpy(np.asarray(files.load_case(case)[1][:])[0] > 0).float()
            femur = 0.5 + 0.4 * (2 * mask["femur"] - 1) if axis == 1 else torch.full_like(mask["femur"], 0.5)
            assert femur.shape == volumes.shape[2:]
            return torch.stack((1 - femur, femur))[None]

        monkeypatch.setattr(ThreePlaneNetwork, "probabilities_of_plane", of_plane)
        scored: list[tuple[float, ...]] = []

        def dice(trainer, cases: list[str]) -> dict[str, float]:
            scored.append(trainer.bare_network.weights)
            return dict.fromkeys(cases, 0.8 + 0.1 * scored[-1][1])

        monkeypatch.setattr(plane_weights, "volume_dice", dice)
        trainer.run_training()
        assert scored == [pytest.approx((1 / 3, 1 / 3, 1 / 3)), pytest.approx((0, 1, 0))]
        final = Path(trainer.output_folder) / "checkpoint_final.pth"
        checkpoint = torch.load(final, weights_only=False)
        assert checkpoint["network_weights"]["learned_weights"].tolist() == pytest.approx([0, 1, 0])
        facts = trainer.run_facts()["plane_weights"]
        assert (facts["chosen"], facts["cases"]) == ("learned", [case])
        assert facts["mean_dice"] == pytest.approx({"equal": 0.8 + 0.1 / 3, "learned": 0.9})
        again = make_trainer("FemurUnetMobileNetV3Trainer", **recipe)
        again.load_checkpoint(str(final))
        again.run_training()
        assert len(scored) == 2, "a finished training learns nothing again"
        assert again.run_facts()["plane_weights"] == facts
        learned = torch.load(final, weights_only=False)["network_weights"]["learned_weights"]
        assert learned.tolist() == pytest.approx([0, 1, 0])

    def test_weights_that_gain_nothing_are_not_used(self, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The whole way, with the network's own probabilities and nnU-Net's prediction."""
        assert results.is_dir()
        trainer = make_trainer("FemurUnetMobileNetV3Trainer", plane_weights="validation", slice_size=[32, 32])
        trainer.initialize()
        training, validation = trainer.do_split()
        monkeypatch.setattr(trainer, "do_split", lambda: (training, validation[:1]))
        monkeypatch.setattr(plane_weights, "choose", lambda scores: next(iter(scores)))
        trainer.finish_network()
        facts = trainer.run_facts()["plane_weights"]
        assert facts["chosen"] == "equal"
        assert sum(facts["learned"]) == pytest.approx(1, abs=1e-3)
        assert trainer.network.weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))

    def test_fold_all_has_nothing_to_learn_from(self, results: Path) -> None:
        assert results.is_dir()
        trainer = make_trainer("FemurUnetMobileNetV3Trainer", fold="all", plane_weights="validation")
        trainer.initialize()
        trainer.finish_network()
        facts = trainer.run_facts()["plane_weights"]
        assert (facts["chosen"], facts["learned"]) == ("equal", None)
        assert facts["reason"] is not None

    def test_one_plane_learns_nothing(self, results: Path) -> None:
        assert results.is_dir()
        for configuration, recipe in (("3d_fullres", {"planes": ["axial"]}), ("2d", {})):
            trainer = make_trainer("FemurUnetMobileNetV3Trainer", configuration, plane_weights="validation", **recipe)
            trainer.initialize()
            trainer.finish_network()
            assert trainer.run_facts() == {}
            assert "learned_weights" not in trainer.network.state_dict()
