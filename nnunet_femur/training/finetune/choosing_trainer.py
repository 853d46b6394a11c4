"""Trainer that ends a fine-tuning with weights chosen on the validation cases, so that it does no harm."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from nnunet_femur.training.averaging_trainer import AveragingTrainer, copied_weights
from nnunet_femur.training.finetune.weight_choice import (
    ALPHAS,
    BEST,
    LAST,
    SOURCE,
    Choice,
    cases_to_score,
    choose,
    interpolate,
    interpolation_name,
)
from nnunet_femur.training.volume_dice import volume_dice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from nnunet_femur.recipe.hyperparameters import FinetuneRecipe

    Weights = dict[str, torch.Tensor]

CHOICE_KEY = "femur_choice"
"""Key of a checkpoint, and of ``run.json`` without its prefix, for the choice of the final weights."""

_LAST_WEIGHTS = "femur_last_weights"
"""Key of a checkpoint for the last weights, from which a longer training continues, if others were chosen."""


class ChoosingTrainer(AveragingTrainer):
    """Trainer that ends with the best of source, interpolations, best and last weights on whole validation cases.

    The choice is made once, after the last epoch. The last checkpoint is written before it, so a training that is
    killed meanwhile continues with the choice. ``checkpoint_final.pth`` contains the chosen weights, for prediction;
    the last, for a longer training; and the choice with its scores.
    """

    _choice: dict[str, Any] | None = None
    _last_weights: Weights | None = None
    _ends_anew: bool = False

    @property
    def finetune_recipe(self) -> FinetuneRecipe:
        """The recipe, typed as one for fine-tuning."""
        return cast("FinetuneRecipe", self.recipe)

    def source_weights(self) -> Weights | None:
        """Return the weights that training started from, by this network's names; None if they do not fit its task."""
        return None

    def predicting(self) -> AbstractContextManager[Callable[[torch.Tensor], torch.Tensor] | None]:
        """Return a block in which the network predicts whole volumes, with a function that merges its channels."""
        return nullcontext()

    @property
    def will_choose(self) -> bool:
        """True if weights will be chosen when the training ends."""
        return self.finetune_recipe.choose == "validation" and self._choice is None

    def on_train_start(self) -> None:
        """Continue a finished training from its last weights, if epochs were added or the choice was switched off."""
        if self._choice is not None and (
            self.current_epoch < self.num_epochs or self.finetune_recipe.choose != "validation"
        ):
            if self._last_weights is not None:
                self.bare_network.load_state_dict(self._last_weights)
            self._choice = self._last_weights = None
            # The record of the earlier choice is replaced, also if no epoch follows.
            self._ends_anew = True
        if self.will_choose and self.resumed and self.fold != "all":
            # Weights of the source that are missing at the end would be noticed too late.
            self.source_weights()
        super().on_train_start()

    def on_train_end(self) -> None:
        """Choose the final weights, then finish with them."""
        if self.will_choose:
            self._write_latest_checkpoint()
        self.finish_average()
        if self.will_choose:
            self.choose_weights()
        super().on_train_end()

    @property
    def trained_here(self) -> bool:
        """True if this process trained an epoch, or chose or replaced the final weights."""
        return super().trained_here or self._ends_anew

    def _write_latest_checkpoint(self) -> None:
        """Write the state after the last epoch, which nnU-Net writes only as the final checkpoint."""
        # nnU-Net writes the number of the epoch plus 1, and has counted the last epoch already.
        self.current_epoch -= 1
        self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_latest.pth"))
        self.current_epoch += 1

    def choose_weights(self) -> None:
        """Choose the final weights, and load them into the network."""
        start = time.monotonic()
        last = copied_weights(self.bare_network)
        reason, cases = self._cases_of_choice()
        scores: dict[str, dict[str, float]] = {}
        chosen = LAST
        if reason is None:
            for name, weights in self._candidates(last):
                scores[name] = self._score(weights, cases)
                mean = sum(scores[name].values()) / len(cases)
                self.print_to_log_file(f"Candidate {name}: mean Dice {mean:.4f} of {len(cases)} validation cases")
            chosen = choose({name: list(dice.values()) for name, dice in scores.items()})
            weights = next(found for name, found in self._candidates(last) if name == chosen)
            self.bare_network.load_state_dict(weights)
        self._last_weights = None if chosen == LAST else last
        self._choice = Choice(chosen, scores, reason, time.monotonic() - start).as_dict()
        self._ends_anew = True
        self.print_to_log_file(f"Final weights: {chosen}{f', since {reason}' if reason else ''}.")

    def _cases_of_choice(self) -> tuple[str | None, list[str]]:
        """Return the reason why no weights can be chosen, if there is one, and the cases to score them on."""
        if self.fold == "all":
            return "fold all has no cases that were not trained on", []
        cases = cases_to_score(self.do_split()[1])
        return (None if cases else "the fold has no validation cases"), cases

    def _candidates(self, last: Weights) -> Iterator[tuple[str, Weights]]:
        """Yield names and weights, from the nearest to the source to the farthest from it."""
        source = self.source_weights()
        if source is not None:
            start = last | source
            yield SOURCE, start
            for alpha in ALPHAS:
                yield interpolation_name(alpha), interpolate(start, last, alpha)
        best = self._best_weights()
        if best is not None:
            yield BEST, best
        yield LAST, last

    def _best_weights(self) -> Weights | None:
        """Return the weights of the epoch of the best pseudo Dice, unless it is the last epoch or was not saved."""
        path = Path(self.output_folder) / "checkpoint_best.pth"
        # The first process writes it.
        self.synchronise()
        if self.disable_checkpointing or not path.is_file():
            return None
        # Our own file in nnU-Net's format, with NumPy scalars that PyTorch refuses to load with weights_only.
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        weights: Weights = checkpoint["network_weights"]
        return weights if checkpoint["current_epoch"] < self.current_epoch else None

    def _score(self, weights: Weights, cases: list[str]) -> dict[str, float]:
        """Return the Dice of all cases in their order; each process predicts a part of them."""
        self.bare_network.load_state_dict(weights)
        self.network.eval()
        with self.predicting() as merge:
            found = self.gathered(volume_dice(self, cases[self.local_rank :: self.ranks], merge=merge))
        return {case: found[case] for case in cases}

    def run_facts(self) -> dict[str, Any]:
        """Return the choice of the final weights."""
        return super().run_facts() | ({} if self._choice is None else {"choice": self._choice})

    def checkpoint_changes(self) -> dict[str, Any]:
        """Return, after the choice, the choice and the last weights."""
        changes = super().checkpoint_changes()
        if self._choice is not None:
            changes[CHOICE_KEY] = self._choice
        if self._last_weights is not None:
            changes[_LAST_WEIGHTS] = self._last_weights
        return changes

    def read_checkpoint_changes(self, checkpoint: dict[str, Any]) -> None:
        """Read the choice and the last weights of a finished training."""
        super().read_checkpoint_changes(checkpoint)
        self._choice = checkpoint.get(CHOICE_KEY)
        self._last_weights = checkpoint.get(_LAST_WEIGHTS)
