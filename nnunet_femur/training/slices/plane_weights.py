"""Weights of the planes in the prediction of a volume, learned from validation cases at the end of a training."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from nnunet_femur.training.finetune.weight_choice import SMALLEST_GAIN, cases_to_score, choose
from nnunet_femur.training.volume_dice import volume_dice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.networks.three_planes import ThreePlaneNetwork
    from nnunet_femur.training.checked_trainer import CheckedTrainer

EQUAL, LEARNED = "equal", "learned"
"""Names of the weights that are compared."""

_SPREAD = 0.02
"""Smallest difference of two planes' probabilities at a voxel that weights are learned from."""

_VOXELS = 50_000
"""Largest number of voxels of a case that weights are learned from."""

_ITERATIONS, _TOLERANCE = 1000, 1e-6
_SMALLEST = 1e-6

_SMALLEST_WEIGHT = 0.005
"""Smallest weight of a plane; a plane with less is left out, which saves the time of its prediction."""


@dataclass(frozen=True)
class LearnedWeights:
    """Weights of the planes that a training ends with.

    Attributes:
        planes: Names of the planes.
        chosen: "learned" or "equal".
        weights: Weight of each plane, chosen or not; None if there was nothing to learn from.
        scores: Dice of each case under "equal" and "learned" weights.
        reason: The reason why nothing was learned; None if it was.
        seconds: Duration.
    """

    planes: Sequence[str]
    chosen: str
    weights: Sequence[float] | None
    scores: Mapping[str, Mapping[str, float]]
    reason: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for ``run.json`` and the checkpoint, as JSON content."""
        return {
            "chosen": self.chosen,
            "planes": list(self.planes),
            "learned": None if self.weights is None else [round(weight, 4) for weight in self.weights],
            "reason": self.reason,
            "cases": list(self.scores.get(EQUAL, {})),
            "mean_dice": {name: round(_mean(dice), 6) for name, dice in self.scores.items()},
            "smallest_gain": SMALLEST_GAIN,
            "seconds": round(self.seconds, 1),
        }

    @property
    def sentence(self) -> str:
        """The result in a sentence, for the log."""
        if self.reason is not None or self.weights is None:
            return f"Weights of the planes: equal, since {self.reason}."
        shares = ", ".join(f"{plane} {weight:.3f}" for plane, weight in zip(self.planes, self.weights, strict=True))
        dice = ", ".join(f"{name} {_mean(values):.4f}" for name, values in self.scores.items())
        return f"Weights of the planes: {self.chosen}. Learned: {shares}. Mean Dice of validation cases: {dice}."


def learn_plane_weights(trainer: CheckedTrainer, planes: Sequence[str], *, largest: int) -> LearnedWeights:
    """Learn the weights of the planes from the fold's validation cases, and set the better ones of both.

    Learned weights maximise the likelihood of the reference masks under the average (see :func:`mixture_weights`). They
    replace equal weights only if the mean Dice of the validation cases gains enough, by the rule of
    :func:`~nnunet_femur.training.finetune.weight_choice.choose`. Several processes predict parts of the cases.

    Args:
        trainer: A trainer whose network learns its weights.
        planes: Names of the network's planes.
        largest: Largest number of voxels along an axis that are predicted in one piece.
    """
    network = cast("ThreePlaneNetwork", trainer.bare_network)
    trainer.network.eval()
    found = _learn(trainer, network, planes, largest)
    network.set_weights(_equal(planes) if found.chosen == EQUAL else cast("Sequence[float]", found.weights))
    return found


def _learn(trainer: CheckedTrainer, network: ThreePlaneNetwork, planes: Sequence[str], largest: int) -> LearnedWeights:
    start = time.monotonic()
    cases = [] if trainer.fold == "all" else cases_to_score(trainer.do_split()[1])
    own = cases[trainer.local_rank :: trainer.ranks]
    sampled = trainer.gathered({case: _likelihoods_of_case(trainer, network, case, largest) for case in own})
    voxels = np.concatenate([sampled[case] for case in cases]) if cases else np.empty((0, len(planes)))
    if not len(voxels):
        reason = "the planes agree at all voxels" if cases else "there are no validation cases"
        return LearnedWeights(planes, EQUAL, None, {}, reason, time.monotonic() - start)
    candidates = {EQUAL: _equal(planes), LEARNED: mixture_weights(voxels).tolist()}
    scores = {}
    for name, weights in candidates.items():
        network.set_weights(weights)
        dice = trainer.gathered(volume_dice(trainer, own))
        scores[name] = {case: dice[case] for case in cases}
    chosen = choose({name: list(dice.values()) for name, dice in scores.items()})
    return LearnedWeights(planes, chosen, candidates[LEARNED], scores, None, time.monotonic() - start)


def _likelihoods_of_case(
    trainer: CheckedTrainer, network: ThreePlaneNetwork, case: str, largest: int
) -> NDArray[np.float32]:
    """Return the probability of the reference label in each plane, at voxels of a case where planes differ."""
    dataset = trainer.dataset_class(trainer.preprocessed_dataset_folder, [case])
    data, mask, *_ = dataset.load_case(case)
    # Voxels outside the image have the label -1.
    labels = np.maximum(np.asarray(mask[:])[0], 0).astype(np.int64)
    piece = tuple(_piece(n, along, largest) for n, along in zip(labels.shape, _extents(labels > 0), strict=True))
    image = torch.from_numpy(np.ascontiguousarray(np.asarray(data[:], dtype=np.float32)[(slice(None), *piece)]))
    image, reference = image.to(trainer.device)[None], torch.from_numpy(labels[piece])[None]
    half = trainer.device.type == "cuda" and trainer.recipe.half
    found = []
    for axis in network.axes:
        with torch.autocast(trainer.device.type, enabled=half):
            probabilities = network.probabilities_of_plane(image, axis)[0]
        found.append(probabilities.gather(0, reference.to(probabilities.device))[0].half().cpu().numpy())
    return differing(np.stack(found, axis=-1).reshape(-1, len(found)))


def differing(likelihoods: NDArray[Any]) -> NDArray[np.float32]:
    """Return the voxels at which planes differ, at most 50,000 of them, drawn at random with a fixed seed.

    Voxels at which all planes are equally right do not depend on the weights.

    Args:
        likelihoods: Probability of the reference label in each plane, shape (voxels, planes).

    Example:
        >>> differing(np.array([[0.5, 0.5], [0.9, 0.2]]))
        array([[0.9, 0.2]], dtype=float32)
    """
    which = np.flatnonzero(likelihoods.max(axis=1) - likelihoods.min(axis=1) > _SPREAD)
    if len(which) > _VOXELS:
        which = np.sort(np.random.default_rng(0).choice(which, _VOXELS, replace=False))
    return likelihoods[which].astype(np.float32)


def mixture_weights(likelihoods: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weights of an average of probabilities that make the reference most likely.

    They are computed by the EM algorithm. The mean logarithm of the average is concave in the weights, so the result
    does not depend on the start (stacking of densities; Smyth and Wolpert, Machine Learning 36, 1999).

    Args:
        likelihoods: Probability of the reference label in each plane, shape (voxels, planes).

    Returns:
        Weight of each plane, from 0; their sum is 1.

    Example:
        With likelihoods 1 and 0 at three voxels, and 0 and 1 at one, the first plane gets 3/4.

        >>> mixture_weights(np.array([[1, 0], [1, 0], [1, 0], [0, 1]])).round(3)
        array([0.75, 0.25])
    """
    given = np.maximum(np.asarray(likelihoods, dtype=np.float64), _SMALLEST)
    weights = np.full(given.shape[1], 1 / given.shape[1])
    for _ in range(_ITERATIONS):
        # Each step multiplies a weight by its plane's mean share of the average.
        new = weights * (given / (given @ weights)[:, None]).mean(axis=0)
        if np.abs(new - weights).max() < _TOLERANCE:
            break
        weights = new
    new[new < _SMALLEST_WEIGHT] = 0
    return new / new.sum()


def _equal(planes: Sequence[str]) -> list[float]:
    return [1 / len(planes)] * len(planes)


def _extents(femur: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last index of the femur along each axis; the whole axis if there is none."""
    found = []
    for axis in range(femur.ndim):
        index = np.flatnonzero(femur.any(axis=tuple(other for other in range(femur.ndim) if other != axis)))
        found.append((int(index[0]), int(index[-1])) if len(index) else (0, femur.shape[axis] - 1))
    return found


def _piece(length: int, femur: tuple[int, int], largest: int) -> slice:
    """Return the part of an axis, at most `largest` voxels, with the femur in its middle."""
    start = max(0, min(length - largest, sum(femur) // 2 - largest // 2))
    return slice(start, min(length, start + largest))


def _mean(dice: Mapping[str, float]) -> float:
    return float(np.mean(list(dice.values())))
