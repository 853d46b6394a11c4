"""The table of ``slice_recipe.py``: the gain of each recipe over ours, by cases and by seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from marked_tables import table

from nnunet_femur.comparison.report.tables.model import p_value
from nnunet_femur.comparison.statistics.claims import Claim, claim_better

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Gain:
    """The gain in Dice of a recipe over another one.

    Attributes:
        claim: The claim that the recipe is better, about the mean gain of a case over the seeds that both have.
        by_seed: Mean gain of each seed.
        spread: Standard deviation over the seeds of the mean Dice of a recipe, the larger one of both recipes.
    """

    claim: Claim
    by_seed: tuple[float, ...]
    spread: float

    @property
    def is_kept(self) -> bool:
        """True if the gain exceeds the spread of seeds, is above 0 for each of at least three seeds, and is claimed."""
        return len(self.by_seed) >= 3 and min(self.by_seed) > 0 and self.claim.gain > self.spread and self.claim.holds


def gain_of(runs: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> Gain:
    """Return the gain of the runs of a recipe over those of another one, for the seeds that both have.

    Args:
        runs: Runs of the recipe, with "seed", "cases" and "dice".
        others: Runs of the other one.
    """
    first, second = ({run["seed"]: run for run in each} for each in (runs, others))
    seeds = sorted(first.keys() & second.keys())
    means = np.array([[np.mean(each[seed]["dice"]) for seed in seeds] for each in (first, second)])
    by_case = [pd.DataFrame([pd.Series(each[s]["dice"], each[s]["cases"]) for s in seeds]) for each in (first, second)]
    series = [frame.mean().rename(name) for frame, name in zip(by_case, ("recipe", "other"), strict=True)]
    spread = float(means.std(axis=1, ddof=1).max()) if len(seeds) > 1 else float("nan")
    return Gain(claim_better(series[0], series[1], ideal=1), tuple((means[0] - means[1]).tolist()), spread)


def gains_table(runs: Sequence[dict[str, Any]], *, against: str) -> str:
    """Return the table as Markdown.

    Args:
        runs: All runs, with "recipe" besides what :func:`gain_of` needs, "hd95", "steps" and "prediction_s".
        against: Name of the recipe that all others are compared with.
    """
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_recipe.setdefault(run["recipe"], []).append(run)
    header = (
        *("recipe", "seeds", "steps", "3D Dice (deviation over seeds)", "HD95 (mm)", "gain", "95 % interval"),
        *("false claim", "gain by seed", "kept", "prediction (s)"),
    )
    rows = []
    for name, own in by_recipe.items():
        means = [float(np.mean(run["dice"])) for run in own]
        deviation = f" ({np.std(means, ddof=1):.4f})" if len(means) > 1 else ""
        cells: tuple[Any, ...] = (None, None, None, None, None)
        if name != against and against in by_recipe:
            cells = _cells(gain_of(own, by_recipe[against]))
        of_run = pd.DataFrame([{key: np.mean(run[key]) for key in ("steps", "hd95", "prediction_s")} for run in own])
        steps, hd95, prediction_s = of_run.mean()
        dice = f"{np.mean(means):.4f}{deviation}"
        rows.append((name, len(own), f"{steps:.0f}", dice, f"{hd95:.1f}", *cells, f"{prediction_s:.1f}"))
    return table(header, rows)


def _cells(gain: Gain) -> tuple[str, ...]:
    claim = gain.claim
    interval = "–" if claim.interval is None else f"{claim.interval.low:+.4f} to {claim.interval.high:+.4f}"
    false = str(p_value(claim.false))
    by_seed = ", ".join(f"{each:+.4f}" for each in gain.by_seed)
    return f"{claim.gain:+.4f}", interval, false, by_seed, "yes" if gain.is_kept else "no"
