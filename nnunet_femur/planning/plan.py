"""One verb from a raw dataset to preprocessed data: fingerprint, plans, folds, recipe, guard."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nnunet_femur.atomic_files import write_json, written_beside
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.folds import SPLITS_FILE, read_folds
from nnunet_femur.dataset.raw import find_dataset, replace_folds, training_cases
from nnunet_femur.errors import InputError
from nnunet_femur.planning.case_problems import incomplete_cases, naming_bad_cases, refuse_cases, too_thin
from nnunet_femur.planning.ceiling import Ceiling, resampling_ceiling
from nnunet_femur.planning.plans import CONFIGURATION, Spacing, own_plans, transferred_plans
from nnunet_femur.planning.training_presets import PRESETS, Preset, recipe_of
from nnunet_femur.records import read_json, read_mapping, tree_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.weights import SourceModel

PLANS_NAME = "nnUNetPlans"
"""nnU-Net's default, so that its commands find our plans without being told."""

SOURCES = ("dataset", "totalsegmentator")
"""Where plans come from: nnU-Net's planner looking at the dataset, or TotalSegmentator's model."""

RECORD = "femur_plan.json"
"""Written last into the preprocessed dataset, by name of plans: what they were made from. What is not in it is not
finished."""

LOG = "femur_plan.log"
"""What nnU-Net printed while planning."""


def plan_dataset(
    dataset_id: int,
    *,
    source: str = "dataset",
    spacing: str = "source",
    fast: bool = False,
    preset: str = "default",
    configurations: Sequence[str] | None = None,
    plans_name: str = PLANS_NAME,
    epochs: int | None = None,
    iterations: int | None = None,
    pretrained: bool = True,
    recipe: Mapping[str, Any] | Path | None = None,
    jobs: int = 2,
) -> Path:
    """Fingerprint, plan and preprocess a raw dataset; afterwards ``nnUNetv2_train`` runs as typed.

    A second call with the same input and options finds the work done and returns at once; with another recipe it
    only writes that into the plans.

    Args:
        dataset_id: nnU-Net's dataset number.
        source: One of :data:`SOURCES`.
        spacing: With TotalSegmentator's plans, "source" (its own spacing) or "native" (the dataset's).
        fast: With TotalSegmentator's plans, those of its 3 mm model instead of the 1.5 mm one.
        preset: One of :data:`PRESETS`.
        configurations: The configurations of the plans to preprocess; None for "2d" and "3d_fullres", and for
            "3d_fullres" alone with TotalSegmentator's plans, which have no other.
        plans_name: Name of the plans; another than nnU-Net's default lets two plans of a dataset stand side by side.
        epochs: Epochs of every trainer; None leaves them to the preset.
        iterations: Iterations in an epoch of every trainer; None leaves them to the preset.
        pretrained: Whether the encoders of 2D networks start from pretrained weights, where the preset has any.
        recipe: Further hyper-parameters, as in the plans: for every trainer, or by family or trainer; or a YAML or
            JSON file with them.
        jobs: Processes that preprocess.

    Returns:
        The preprocessed dataset's folder.

    Raises:
        SetupError: nnU-Net's folders are not set, TotalSegmentator's weights are missing or do not fit, or networks
            were trained on other folds of this dataset.
        InputError: The dataset, its folds, the preset or a configuration does not exist or is damaged, a case cannot
            be used, or the recipe has an invalid value; the message names all such cases.
    """
    _choose("preset", preset, tuple(PRESETS))
    _choose("source of plans", source, SOURCES)
    _choose("spacing", spacing, get_args(Spacing))
    changed = _recipe(PRESETS[preset], epochs=epochs, iterations=iterations, pretrained=pretrained, changes=recipe)
    model = _model(fast=fast) if source == "totalsegmentator" else None
    wanted = tuple(configurations or (("2d", CONFIGURATION) if model is None else (CONFIGURATION,)))
    if model is not None and wanted != (CONFIGURATION,):
        msg = f"TotalSegmentator's plans have the configuration {CONFIGURATION} only, not {', '.join(wanted)}."
        raise InputError(msg)
    raw = find_dataset(require("nnUNet_raw"), dataset_id)
    preprocessed = require("nnUNet_preprocessed") / raw.name
    read_folds(raw / SPLITS_FILE, training_cases(raw))
    refuse_cases(raw, incomplete_cases(raw))
    record = {
        "raw": tree_fingerprint(raw),
        "source": None if model is None else [str(model.checkpoint), model.checkpoint.stat().st_mtime_ns, spacing],
        "preset": preset,
        "configurations": list(wanted),
        "recipe": changed,
    }
    done = read_json(preprocessed / RECORD) or {}
    earlier = done.get(plans_name, {})
    if {**earlier, **record} == {**earlier, "recipe": changed}:
        if earlier.get("recipe") != changed:
            _write_recipe(preprocessed / f"{plans_name}.json", changed)
            write_json(preprocessed / RECORD, {**done, plans_name: {**earlier, "recipe": changed}})
        return preprocessed
    preprocessed.mkdir(exist_ok=True)
    others = {name: other for name, other in done.items() if name != plans_name}
    write_json(preprocessed / RECORD, others)
    replace_folds(raw, preprocessed)
    with (
        (preprocessed / LOG).open("w", encoding="utf-8") as log,
        redirect_stdout(log),
        naming_bad_cases(raw, preprocessed / LOG),
    ):
        _extract_fingerprint(dataset_id, jobs=jobs)
        plans_file = preprocessed / f"{plans_name}.json"
        if model is None:
            plans = own_plans(dataset_id, PRESETS[preset], plans_file=plans_file, configurations=wanted)
        else:
            target: Spacing = "native" if spacing == "native" else "source"
            plans = transferred_plans(dataset_id, model, plans_name=plans_name, spacing=target, fast=fast)
        refuse_cases(raw, too_thin(raw, plans, wanted, read_json(preprocessed / "dataset_fingerprint.json")))
        ceiling = _preprocess(dataset_id, plans, plans_file, wanted, recipe=changed, raw=raw, jobs=jobs)
    finished = record | ({} if ceiling is None else {"ceiling": asdict(ceiling)})
    write_json(preprocessed / RECORD, {**others, plans_name: finished})
    return preprocessed


def ceiling_of(folder: Path, plans_name: str = PLANS_NAME) -> Ceiling | None:
    """The resampling ceiling that planning found; None for plans without a 3D configuration."""
    content = (read_json(folder / RECORD) or {}).get(plans_name, {}).get("ceiling")
    return None if content is None else Ceiling(tuple(content["spacing_mm"]), content["dice"], content["of"])


def _recipe(
    preset: Preset,
    *,
    epochs: int | None,
    iterations: int | None,
    pretrained: bool,
    changes: Mapping[str, Any] | Path | None,
) -> dict[str, dict[str, Any]]:
    """The recipe that goes into the plans, checked before anything runs.

    Raises:
        InputError: The file cannot be read, or a hyper-parameter is unknown or has an invalid value.
    """
    from nnunet_femur.recipe.recipe_checks import problems_of, raise_if_any

    given: Any = changes or {}
    if isinstance(changes, Path):
        given = read_mapping(changes)
    raise_if_any(problems_of(given), where=str(changes) if isinstance(changes, Path) else "recipe")
    recipe = recipe_of(preset, epochs=epochs, iterations=iterations, pretrained=pretrained, changes=given)
    raise_if_any(problems_of(recipe), where="recipe of these plans")
    return recipe


def _choose(what: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        msg = f"There is no {what} {value!r}; choose one of {', '.join(choices)}."
        raise InputError(msg)


def _model(*, fast: bool) -> SourceModel:
    from nnunet_femur.weights import find_model

    return find_model(fast=fast)


def _extract_fingerprint(dataset_id: int, *, jobs: int) -> None:
    import os

    # Planning sets this number of threads and cannot take the 0 that is right for training on a CPU.
    if os.environ.get("nnUNet_n_proc_DA") == "0":
        os.environ["nnUNet_n_proc_DA"] = "1"
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    nnunet.extract_fingerprint_dataset(dataset_id, num_processes=jobs, verbose=False)


def _write_recipe(plans_file: Path, recipe: dict[str, dict[str, Any]]) -> None:
    from nnunet_femur.recipe.hyperparameters import RECIPE_KEY

    plans = read_json(plans_file)
    for configuration in plans["configurations"].values():
        configuration[RECIPE_KEY] = recipe
    write_json(plans_file, plans)


def _preprocess(
    dataset_id: int,
    plans: dict[str, Any],
    plans_file: Path,
    configurations: Sequence[str],
    *,
    recipe: dict[str, dict[str, Any]],
    raw: Path,
    jobs: int,
) -> Ceiling | None:
    import shutil

    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    from nnunet_femur.consistency import add_fingerprints, resolve, write_data_fingerprint
    from nnunet_femur.recipe.hyperparameters import RECIPE_KEY

    for configuration in plans["configurations"].values():
        configuration[RECIPE_KEY] = recipe
    add_fingerprints(plans)
    write_json(plans_file, plans)
    with written_beside(plans_file.parent / "dataset.json") as partial:
        shutil.copyfile(raw / "dataset.json", partial)
    nnunet.preprocess_dataset(dataset_id, plans_file.stem, tuple(configurations), num_processes=(jobs,))
    for name in configurations:
        configuration = resolve(plans, name)
        write_data_fingerprint(plans_file.parent / configuration["data_identifier"], plans, configuration)
    if CONFIGURATION not in configurations:
        return None
    folder = plans_file.parent / plans["configurations"][CONFIGURATION]["data_identifier"]
    return resampling_ceiling(plans, CONFIGURATION, folder=folder, raw=raw)
