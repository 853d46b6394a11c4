"""The model card: a page of Markdown about an exported model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.final_networks import final_network
from nnunet_femur.model_export.card_facts import SHOWN, find_scores, recipe_of, start_of, training_records
from nnunet_femur.model_export.parity import SURFACE_TOLERANCE, TOLERANCE
from nnunet_femur.version import __version__
from nnunet_femur.weights.model_statements import ENDS_ONLY, LIMITS, NOT_KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nnunet_femur.model_export.parity import Parity
    from nnunet_femur.model_export.targets import Target
    from nnunet_femur.model_export.trained_networks import TrainedNetworks


def model_card(networks: TrainedNetworks, target: Target, parity: Parity, *, scores: Path | None = None) -> str:
    """Return the card of an exported model. Facts that the files of the model do not contain are marked.

    Args:
        networks: The model.
        target: The format that it was exported to.
        parity: The parity check.
        scores: ``scores.csv`` of a comparison; None to look for it beside the model.

    Raises:
        InputError: `scores` is unreadable or contains no scores of the model.
    """
    sections = {
        "Model": _model(networks, target),
        "Use": target.usage(networks),
        "Training data": _data(networks),
        "Recipe": _recipe(networks),
        "Scores": _scores(networks, scores),
        "Parity check": _parity(parity),
        "Limits": _limits(networks, target),
        "Licence": f"{start_of(networks)}\n\nLicence of this model: {NOT_KNOWN}. Its owner decides; state it here.",
    }
    name = networks.model.plans.get("dataset_name", networks.model.folder.parent.name)
    title = f"# Model card: {name}, {networks.trainer}, {networks.configuration_name}\n"
    return title + "".join(f"\n## {heading}\n\n{text.strip()}\n" for heading, text in sections.items())


def _model(networks: TrainedNetworks, target: Target) -> str:
    configuration = networks.configuration
    architecture = configuration.configuration["architecture"]["network_class_name"].rpartition(".")[2]
    parameters = sum(each.numel() for each in networks.network.parameters())
    axes = networks.mirror_axes
    rows = {
        "task": "segmentation of the femur in CT",
        "format": target.title,
        "network": "slices in this package's planes" if networks.works_in_slices else architecture,
        "parameters": f"{parameters:,}",
        "input": f"one channel, CT in HU, at {_numbers(configuration.spacing)} mm",
        "window": f"{_numbers(configuration.patch_size)} voxels",
        "mirroring at prediction": "none" if not axes else f"axes {', '.join(map(str, axes))}",
        "output channels": f"{networks.channels}, the femur in {' and '.join(map(str, networks.femur_channels))}",
        "folds": ", ".join(networks.folds),
        "trained with": f"{networks.trainer} of nnunet_femur and nnU-Net v2",
        "SHA-256 of the model": networks.model.digest(),
        "exported": f"{datetime.now(UTC).date().isoformat()} by nnunet_femur {__version__}",
    }
    return _table(("property", "value"), rows.items())


def _data(networks: TrainedNetworks) -> str:
    dataset = networks.model.dataset
    rows = {
        "dataset": networks.model.plans.get("dataset_name") or NOT_KNOWN,
        "cases for training and validation": dataset.get("numTraining", NOT_KNOWN),
        "labels": ", ".join(f"{name} {value}" for name, value in networks.labels.items()),
        "description": _one_line(dataset.get("description")),
        "reference": _one_line(dataset.get("reference")),
        "licence": _one_line(dataset.get("licence") or dataset.get("license")),
        "scanners, protocols, patients (age, sex, diagnoses)": NOT_KNOWN,
        "who segmented the reference masks, and how": NOT_KNOWN,
    }
    return _table(("property", "value"), rows.items())


def _recipe(networks: TrainedNetworks) -> str:
    recipe = recipe_of(networks)
    parts = ["Hyperparameters, as recorded. `docs/recipes.md` of nnunet_femur describes them."] if recipe else []
    parts.append(_table(("hyperparameter", "value"), recipe.items()) if recipe else f"Hyperparameters: {NOT_KNOWN}.")
    records = training_records(networks)
    if records:
        rows = [
            (fold, *(record.get(key, NOT_KNOWN) for key in _OF_RUN), *(_version(record, name) for name in _PACKAGES))
            for fold, record in records.items()
        ]
        parts.append(_table(("fold", *_OF_RUN.values(), *_PACKAGES), rows))
    kept = [f"fold {fold}: {text}" for fold, record in records.items() if (text := final_network(record))]
    if kept:
        parts.append(f"Final network: {'; '.join(kept)}.")
    missing = [fold for fold in networks.folds if fold not in records]
    if missing:
        parts.append(f"Training record of fold {', '.join(missing)}: {NOT_KNOWN} (no run.json).")
    return "\n\n".join(parts)


_OF_RUN = {
    "epochs_done": "epochs",
    "iterations_per_epoch": "iterations per epoch",
    "seconds": "time (s)",
    "device": "device",
}
"""Facts of a training record, and the headings of their columns."""

_PACKAGES = ("nnunet_femur", "nnunetv2", "torch")


def _version(record: dict[str, Any], name: str) -> str:
    return str(record.get("versions", {}).get(name, NOT_KNOWN))


def _scores(networks: TrainedNetworks, scores: Path | None) -> str:
    path, found = find_scores(networks, scores)
    if path is None:
        return f"{NOT_KNOWN}. Run `nnfemur compare`, and export with `--scores scores.csv`."
    rows = [(row.title, row.cases, *(_value(row.values.get(name), row.cases) for name in SHOWN)) for row in found]
    return "Whole bone, mean ± standard deviation over the cases, on the data of the model's own study.\n\n" + _table(
        ("set", "cases", *SHOWN.values()), rows
    )


def _value(summary: tuple[float, float | None, int] | None, cases: int) -> str:
    if summary is None:
        return NOT_KNOWN
    mean, deviation, defined = summary
    spread = "" if deviation is None else f" ± {deviation:.3f}"
    return f"{mean:.3f}{spread}" + ("" if defined == cases else f" (defined in {defined} cases)")


def _parity(parity: Parity) -> str:
    rows = [(fold.fold, fold.femur_voxels, fold.exported_voxels, fold.differing_voxels) for fold in parity.folds]
    text = (
        f"The model (nnunet_femur {__version__}, all windows, {parity.precision}) and the exported model "
        f"({parity.program}) have predicted the same CT ({parity.ct}) on {parity.device}. Accepted as rounding: "
        f"{TOLERANCE:g} differing voxels per voxel of the femur, or {SURFACE_TOLERANCE:g} per voxel at its surface.\n\n"
        + _table(("fold", "femur voxels, model", "femur voxels, export", "differing voxels"), rows)
    )
    if not parity.femur_voxels:
        text += (
            "\n\nNeither found a femur in this CT, so the check shows only that the exported model runs. Export again "
            "with `--ct` and a CT that shows a femur."
        )
    return text


def _limits(networks: TrainedNetworks, target: Target) -> str:
    limits = list(LIMITS)
    if networks.ends_only:
        limits.insert(0, ENDS_ONLY)
    if len(networks.folds) > 1:
        limits.append(
            f"{len(networks.folds)} folds: programs combine folds in different ways. The parity check compares each "
            "fold alone; nnunet_femur averages probabilities on the CT's grid, nnU-Net averages logits on the "
            "network's."
        )
    return "\n".join(f"- {each}" for each in [*limits, *target.limits(networks)])


def _table(head: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _one_line(text: Any) -> str:
    return " ".join(str(text).split()) if text else NOT_KNOWN


def _numbers(values: Iterable[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
