"""Facts about a trained model for its card: training records, scores, and the weights that it started from."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import fold_folder
from nnunet_femur.errors import InputError
from nnunet_femur.prediction.trained_model import find_model as find_trained_model
from nnunet_femur.recipe.hyperparameters import RECIPE_KEY
from nnunet_femur.records import read_json
from nnunet_femur.weights.model_statements import initial_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nnunet_femur.model_export.trained_networks import TrainedNetworks

SHOWN = {"dice": "Dice", "assd": "ASSD (mm)", "hd95": "HD95 (mm)"}
"""Metrics of the card, by their names in scores.csv."""


@dataclass(frozen=True)
class ScoreRow:
    """Scores of the model in one set.

    Attributes:
        title: Name of the set, and the fold.
        cases: Number of cases.
        values: Mean, standard deviation over the cases (None for one case) and number of defined values, by metric.
    """

    title: str
    cases: int
    values: dict[str, tuple[float, float | None, int]]


def training_records(networks: TrainedNetworks) -> dict[str, dict[str, Any]]:
    """Return the content of ``run.json`` of each fold that has one."""
    found = {}
    for fold in networks.folds:
        record = read_json(networks.model.folder / fold_folder(fold) / "run.json")
        if isinstance(record, dict):
            found[fold] = record
    return found


def recipe_of(networks: TrainedNetworks) -> dict[str, Any]:
    """Return the hyperparameters: those of the training record, or else those that the plans contain."""
    for record in training_records(networks).values():
        if record.get("recipe"):
            return dict(record["recipe"])
    return dict(networks.configuration.configuration.get(RECIPE_KEY) or {})


def find_scores(networks: TrainedNetworks, scores: Path | None) -> tuple[Path | None, list[ScoreRow]]:
    """Find the model's scores.

    Args:
        networks: The model.
        scores: ``scores.csv`` of a comparison; None to look for it where ``nnfemur compare`` writes by default.

    Returns:
        The file and the scores; None and no scores if there are none.

    Raises:
        InputError: `scores` cannot be read (code "unreadable"), is not a table of scores ("invalid-file"), or contains
            no scores of the model ("no-predictions").
    """
    if scores is not None:
        rows = _score_rows(networks, scores)
        if not rows:
            msg = f"{scores}: contains no scores of {networks.model.folder.name}. Give the table of its comparison."
            raise InputError(msg, code="no-predictions")
        return scores, rows
    for place in networks.model.folder.parents[:2]:
        path = place / "comparison" / "scores.csv"
        if path.is_file() and (rows := _score_rows(networks, path)):
            return path, rows
    return None, []


def _score_rows(networks: TrainedNetworks, path: Path) -> list[ScoreRow]:
    cases: dict[str, set[str]] = defaultdict(set)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row, number in _rows_of(networks, path):
        title = _TITLES.get(row["set"], row["set"]) + (f", fold {row['fold']}" if row["set"] != "cv" else "")
        title = title.replace(", fold ensemble", ", all folds together").replace(", fold none", "")
        cases[title].add(row["case"])
        if math.isfinite(number):
            values[title, row["metric"]].append(number)
    return [
        ScoreRow(title, len(names), {name: _summary(values[title, name]) for name in SHOWN if values[title, name]})
        for title, names in sorted(cases.items())
    ]


_TITLES = {"cv": "cross-validation", "fixed": "validation", "test": "test"}


def _rows_of(networks: TrainedNetworks, path: Path) -> Iterator[tuple[dict[str, str], float]]:
    """Yield rows about the exported folds, and their values: metrics of the card, whole volume, whole bone."""
    names = {networks.model.folder.name, f"{networks.model.plans.get('dataset_name')}/{networks.model.folder.name}"}
    folds = {*networks.folds, "none"}
    if folds >= set(find_trained_model(networks.model.folder, checkpoint=networks.model.checkpoint).folds):
        # With fewer folds, the exported model is not the ensemble that was scored.
        folds.add("ensemble")
    wanted = {"protocol": "volume", "plane": "all", "region": "whole"}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                matches = row["method"] in names and row["fold"] in folds and row["metric"] in SHOWN
                if matches and all(row[key] == value for key, value in wanted.items()):
                    yield row, float(row["value"] or "nan")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'}). Check the path."
        raise InputError(msg, code="unreadable") from error
    except (KeyError, ValueError, csv.Error) as error:
        msg = f"{path}: is not a table of scores ({error}). Give scores.csv of nnfemur compare."
        raise InputError(msg, code="invalid-file") from error


def _summary(values: list[float]) -> tuple[float, float | None, int]:
    return fmean(values), stdev(values) if len(values) > 1 else None, len(values)


def start_of(networks: TrainedNetworks) -> str:
    """Return a sentence about the weights that the training started from, and their licence."""
    return initial_weights(networks.trainer, recipe_of(networks), networks.source)
