"""Plan a raw dataset: fingerprint, plans, folds, recipe, preprocessing and the resampling ceiling."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nnunet_femur.arguments import require_one_of, several
from nnunet_femur.atomic_files import write_json, written_beside
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.nnunet_names import DATASET_FINGERPRINT, FULLRES, PLANS_NAME, SLICES_2D
from nnunet_femur.dataset.raw import DATASET_JSON, RawDataset
from nnunet_femur.errors import InputError
from nnunet_femur.planning.case_problems import incomplete_cases, naming_bad_cases, refuse_cases, too_thin
from nnunet_femur.planning.ceiling import Ceiling, resampling_ceiling
from nnunet_femur.planning.kept_plans import KeptPlans, replace_folds, require_nothing_planned
from nnunet_femur.planning.planners import default_plans_name, planner_name, refuse_planner
from nnunet_femur.planning.plans import Spacing, own_plans, transferred_plans
from nnunet_femur.planning.training_presets import PRESETS, checked_recipe
from nnunet_femur.records import Provenance, read_json, tree_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.weights import SourceModel

SOURCES = ("dataset", "totalsegmentator")
"""Sources of plans: nnU-Net's planner with the dataset's fingerprint, or TotalSegmentator's model."""

RECORD = "femur_plan.json"
"""File in the preprocessed dataset with the settings and inputs of its plans, by name of the plans.

It is written last: plans that are not in it are not finished."""

LOG = "femur_plan.log"
"""File in the preprocessed dataset with nnU-Net's output during planning."""


@dataclass(frozen=True)
class PlannedDataset(os.PathLike[str]):
    """A planned and preprocessed dataset; usable as the path of its folder.

    Attributes:
        folder: The folder in ``nnUNet_preprocessed``.
        plans_name: Name of the plans.
        configurations: The preprocessed configurations.
        ceiling: The resampling ceiling; None for plans without a 3D configuration, and if no examined mask contains
            femur.

    Example:
        >>> planned = PlannedDataset(Path("nnUNet_preprocessed/Dataset001_Femur"), "nnUNetPlans", ("2d",), None)
        >>> planned
        PlannedDataset(Dataset001_Femur: nnUNetPlans with 2d)
        >>> Path(planned).name
        'Dataset001_Femur'
    """

    folder: Path
    plans_name: str
    configurations: tuple[str, ...]
    ceiling: Ceiling | None

    @property
    def plans_file(self) -> Path:
        """The file with the plans."""
        return self.folder / f"{self.plans_name}.json"

    def __fspath__(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def __repr__(self) -> str:
        """Return dataset, plans, configurations and ceiling in one line."""
        ceiling = "" if self.ceiling is None else f", resampling ceiling {self.ceiling.mean:.4f}"
        names = ", ".join(self.configurations)
        return f"{type(self).__name__}({self.folder.name}: {self.plans_name} with {names}{ceiling})"


def plan(
    dataset_id: int,
    *,
    source: str = "dataset",
    spacing: str = "source",
    fast: bool = False,
    preset: str = "default",
    planner: str | None = None,
    configurations: str | Sequence[str] | None = None,
    plans_name: str | None = None,
    epochs: int | None = None,
    iterations: int | None = None,
    pretrained: bool = True,
    recipe: Mapping[str, Any] | str | Path | None = None,
    keep: str | None = None,
    jobs: int = 2,
) -> PlannedDataset:
    """Fingerprint, plan and preprocess a raw dataset, so that ``nnUNetv2_train`` can train on it.

    A second call with the same input and options finds the work done and returns at once. With another recipe it only
    writes that into the plans. nnU-Net's folders are those of the environment variables ``nnUNet_raw``,
    ``nnUNet_preprocessed`` and ``nnUNet_results``. nnU-Net's output goes to :data:`LOG`, its progress bars to standard
    error.

    Args:
        dataset_id: nnU-Net's dataset number.
        source: "dataset" for plans of nnU-Net's own planner, "totalsegmentator" for those of TotalSegmentator's model.
        spacing: With TotalSegmentator's plans, "source" (the spacing of its model) or "native" (the dataset's).
        fast: With TotalSegmentator's plans, those of its 3 mm model instead of the 1.5 mm model.
        preset: Size of network and training, one of :data:`~nnunet_femur.planning.training_presets.PRESETS`.
        planner: Planner of nnU-Net: "ResEncM", "ResEncL" or "ResEncXL", the class name of another one, or
            ``MODULE.CLASS`` of an importable one. Default: nnU-Net's default planner.
        configurations: The configurations to preprocess. Default: "2d" and "3d_fullres", and "3d_fullres" with
            TotalSegmentator's plans, which have no other.
        plans_name: Name of the plans. With several names, a dataset can have several plans. Default: the name that the
            planner gives its plans, such as "nnUNetPlans" or "nnUNetResEncUNetMPlans".
        epochs: Epochs of every trainer; None for the preset's.
        iterations: Iterations per epoch of every trainer; None for the preset's.
        pretrained: Start the encoders of two-dimensional networks from pretrained weights, unless the preset starts
            them from random weights.
        recipe: Further hyperparameters, as in the plans: for every trainer, or by family or trainer; or a YAML or JSON
            file with them.
        keep: Name of existing plans of this dataset. Spacing, intensities and network stay as they are there, so that a
            training can start from networks of these plans after cases were added. So do its configurations, unless
            others are given, and all hyperparameters that are not given. Default: plan anew.
        jobs: Number of processes that preprocess, from 1. nnU-Net starts new ones, so a script needs
            ``if __name__ == "__main__"``; a notebook does not.

    Returns:
        The preprocessed dataset.

    Raises:
        SetupError: nnU-Net's folders are not set (code "environment"), TotalSegmentator's weights are missing or do not
            fit ("no-weights", "invalid-weights"), the plans to keep do not exist ("no-plans") or were changed
            ("inconsistent"), or networks were trained on other folds of this dataset ("folds-changed").
        InputError: The dataset does not exist or is damaged ("no-dataset", "invalid-dataset"), its folds are
            ("invalid-folds"), cases cannot be used ("bad-cases"), an option is unknown ("invalid-option"), or the
            recipe has an invalid value ("invalid-recipe").

    Example:
        >>> import nnunet_femur as nf
        >>> planned = nf.plan(7, preset="small", configurations=["3d_fullres"], jobs=1)
        >>> planned
        PlannedDataset(Dataset007_Example: nnUNetPlans with 3d_fullres, resampling ceiling 1.0000)
        >>> planned.plans_file.name
        'nnUNetPlans.json'
    """
    require_one_of("preset", preset, PRESETS)
    if jobs < 1:
        msg = f"jobs must be 1 or more, got {jobs}."
        raise InputError(msg, code="invalid-option")
    require_one_of("source", source, SOURCES)
    require_one_of("spacing", spacing, get_args(Spacing))
    if planner is not None:
        refuse_planner(planner, source)
    require_nothing_planned(keep, source=source, spacing=spacing, fast=fast, preset=preset, planner=planner)
    plans_name = plans_name if plans_name is not None else keep or default_plans_name(planner)
    if not plans_name or Path(plans_name).name != plans_name:
        msg = f"plans_name must be the name of a file without its folder and ending, got {plans_name!r}."
        raise InputError(msg, code="invalid-option")
    changes: dict[str, Any] = {"epochs": epochs, "iterations": iterations, "pretrained": pretrained, "changes": recipe}
    checked = checked_recipe(PRESETS[preset], **changes)
    raw = RawDataset.find(dataset_id)
    folder = require("nnUNet_preprocessed") / raw.name
    records = read_json(folder / RECORD) or {}
    kept = None if keep is None else KeptPlans.read(folder, keep, records.get(keep))
    checked = checked if kept is None else kept.changed_recipe(**changes)
    model = _source_model(fast=fast) if source == "totalsegmentator" else None
    wanted = _configurations(configurations, model) if kept is None else kept.configurations(configurations)
    raw.folds()
    refuse_cases(raw, incomplete_cases(raw))
    settings = {
        "source": None if model is None else [str(model.checkpoint), model.checkpoint.stat().st_mtime_ns, spacing],
        "preset": preset,
        # Records of older versions contain no planner, which is the same as None.
        "planner": None if planner is None else planner_name(planner),
        "configurations": list(wanted),
        # Also None, so that planning anew does not take plans that were kept under this name for its own.
        "kept": None,
        **({} if kept is None else kept.settings()),
    }
    inputs = tree_fingerprint(raw.folder)
    record = records.get(plans_name)
    planned = _planned(folder, plans_name, wanted, record)
    if record and _is_current(planned, record, settings=settings, inputs=inputs):
        if record.get("recipe") != checked:
            _write_recipe(planned.plans_file, checked)
            write_json(folder / RECORD, {**records, plans_name: {**record, "recipe": checked}})
        return planned
    folder.mkdir(exist_ok=True)
    others = {name: other for name, other in records.items() if name != plans_name}
    if keep != plans_name:
        # Plans that are kept under their own name remain known if this is interrupted; their data do not fit before
        # the end.
        write_json(folder / RECORD, others)
    replace_folds(raw, folder)
    log_file = folder / LOG
    with log_file.open("w", encoding="utf-8") as log, redirect_stdout(log), naming_bad_cases(raw, log_file):
        _extract_fingerprint(dataset_id, jobs=jobs)
        plans = (
            _new_plans(planned, dataset_id, model, preset=preset, planner=planner, spacing=spacing, fast=fast)
            if kept is None
            else kept.renamed(plans_name)
        )
        refuse_cases(raw, too_thin(raw, plans, wanted, read_json(folder / DATASET_FINGERPRINT)))
        outputs = _preprocess(dataset_id, plans, planned, recipe=checked, raw=raw, jobs=jobs)
        ceiling = _ceiling(plans, planned, raw)
    record = {
        "raw": inputs,
        **settings,
        "recipe": checked,
        "outputs": outputs,
        **({} if ceiling is None else {"ceiling": ceiling.as_json()}),
    }
    write_json(folder / RECORD, {**others, plans_name: record})
    return _planned(folder, plans_name, wanted, record)


def ceiling_of(folder: str | os.PathLike[str], plans_name: str = PLANS_NAME) -> Ceiling | None:
    """Return the resampling ceiling of a planned dataset; None for plans without a 3D configuration.

    Args:
        folder: The folder in ``nnUNet_preprocessed``.
        plans_name: Name of the plans.

    Example:
        >>> planned = plan(7, preset="small", configurations=["3d_fullres"], jobs=1)
        >>> print(ceiling_of(planned))
        Resampling ceiling: reference masks that are resampled to 10 x 6 x 6 mm and back score Dice 1.0000 ...
    """
    record = (read_json(Path(folder) / RECORD) or {}).get(plans_name) or {}
    return Ceiling.from_json(record["ceiling"]) if "ceiling" in record else None


def _planned(
    folder: Path, plans_name: str, configurations: tuple[str, ...], record: Mapping[str, Any] | None
) -> PlannedDataset:
    ceiling = (record or {}).get("ceiling")
    return PlannedDataset(folder, plans_name, configurations, None if ceiling is None else Ceiling.from_json(ceiling))


def _is_current(
    planned: PlannedDataset, record: Mapping[str, Any], *, settings: Mapping[str, Any], inputs: str
) -> bool:
    """Return True if the plans and the preprocessed data are those that planning would make now, but for the recipe."""
    # Records of older versions contain no outputs.
    made = Provenance({key: record.get(key) for key in settings}, record.get("raw"), record.get("outputs", {}))
    return planned.plans_file.is_file() and made.is_current(settings=settings, inputs=inputs, folder=planned.folder)


def _configurations(wanted: str | Sequence[str] | None, model: SourceModel | None) -> tuple[str, ...]:
    if model is None:
        return several(wanted) or (SLICES_2D, FULLRES)
    if several(wanted) not in ((), (FULLRES,)):
        msg = f"TotalSegmentator's plans have the configuration {FULLRES} only, got {', '.join(several(wanted))}."
        raise InputError(msg, code="invalid-option")
    return (FULLRES,)


def _new_plans(
    planned: PlannedDataset,
    dataset_id: int,
    model: SourceModel | None,
    *,
    preset: str,
    planner: str | None,
    spacing: str,
    fast: bool,
) -> dict[str, Any]:
    if model is None:
        return own_plans(
            dataset_id,
            PRESETS[preset],
            planner=planner,
            plans_file=planned.plans_file,
            configurations=planned.configurations,
        )
    target: Spacing = "native" if spacing == "native" else "source"
    return transferred_plans(dataset_id, model, plans_name=planned.plans_name, spacing=target, fast=fast)


def _source_model(*, fast: bool) -> SourceModel:
    from nnunet_femur.weights import find_model

    return find_model(fast=fast)


def _extract_fingerprint(dataset_id: int, *, jobs: int) -> None:
    # Planning sets this number of threads and cannot take the 0 that is right for training on a CPU.
    if os.environ.get("nnUNet_n_proc_DA") == "0":
        os.environ["nnUNet_n_proc_DA"] = "1"
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    nnunet.extract_fingerprint_dataset(dataset_id, num_processes=jobs, verbose=False)


def _write_recipe(plans_file: Path, recipe: dict[str, dict[str, Any]]) -> None:
    plans = read_json(plans_file)
    _set_recipe(plans, recipe)
    write_json(plans_file, plans)


def _set_recipe(plans: dict[str, Any], recipe: dict[str, dict[str, Any]]) -> None:
    from nnunet_femur.recipe.hyperparameters import RECIPE_KEY

    for configuration in plans["configurations"].values():
        configuration[RECIPE_KEY] = recipe


def _preprocess(
    dataset_id: int,
    plans: dict[str, Any],
    planned: PlannedDataset,
    *,
    recipe: dict[str, dict[str, Any]],
    raw: RawDataset,
    jobs: int,
) -> dict[str, int]:
    """Write the plans and preprocess; return the files with the data's fingerprints, and their sizes in bytes."""
    import shutil

    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    from nnunet_femur.consistency import add_fingerprints, resolve, write_data_fingerprint

    _set_recipe(plans, recipe)
    add_fingerprints(plans)
    write_json(planned.plans_file, plans)
    with written_beside(planned.folder / DATASET_JSON) as partial:
        shutil.copyfile(raw.folder / DATASET_JSON, partial)
    nnunet.preprocess_dataset(dataset_id, planned.plans_name, planned.configurations, num_processes=(jobs,))
    outputs = {}
    for name in planned.configurations:
        configuration = resolve(plans, name)
        file = write_data_fingerprint(planned.folder / configuration["data_identifier"], plans, configuration)
        outputs[file.relative_to(planned.folder).as_posix()] = file.stat().st_size
    return outputs


def _ceiling(plans: dict[str, Any], planned: PlannedDataset, raw: RawDataset) -> Ceiling | None:
    if FULLRES not in planned.configurations:
        return None
    folder = planned.folder / plans["configurations"][FULLRES]["data_identifier"]
    return resampling_ceiling(plans, FULLRES, folder=folder, raw=raw)
