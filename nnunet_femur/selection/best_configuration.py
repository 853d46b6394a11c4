"""The end of a study as nnU-Net makes it: the best candidate on validation cases, and postprocessing chosen on them."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from shutil import copyfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nnunet_femur.arguments import several
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.dataset.raw import DATASET_JSON, LABELS_TR, RawDataset
from nnunet_femur.errors import InputError
from nnunet_femur.progress import SILENT, track
from nnunet_femur.selection.candidates import (
    TEST,
    VALIDATION,
    Candidate,
    read_alike,
    shared_folds,
    write_record,
    written_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nnunet_femur.progress import Progress

CV_FOLDS = 5
"""Folds 0 to 4 cross-validate. Later folds are fixed splits of the same cases, which must not count twice."""

LOG = "nnunet.log"
"""Output of nnU-Net's functions, in the folder of a selection."""

_POSTPROCESSING = ("postprocessing.pkl", "postprocessing.json")
"""Files of nnU-Net with the chosen postprocessing; ``nnUNetv2_apply_postprocessing`` reads the first."""


@dataclass(frozen=True)
class Selection(os.PathLike[str]):
    """The best of several candidates on validation cases, with its postprocessing; usable as the path of its folder.

    Attributes:
        folder: Its folder: the postprocessed test set, and nnU-Net's files with the postprocessing.
        best: Name of the chosen candidate.
        dice: nnU-Net's mean Dice of each candidate on the validation cases, before postprocessing, best first.
        dice_postprocessed: That of the chosen candidate after postprocessing. The choice was made on the same cases, so
            the value is optimistic.
        postprocessing: Names of nnU-Net's functions that are applied; empty if none improved the Dice.
        folds: Folds whose validation cases decided.

    Example:
        >>> Selection(Path("results/x"), "a", {"a": 0.91, "b": 0.9}, 0.93, ("remove_all_but_largest_component",), (5,))
        Selection(a: validation Dice 0.9100, postprocessed 0.9300, best of 2 candidates, fold 5)
    """

    folder: Path
    best: str
    dice: Mapping[str, float]
    dice_postprocessed: float
    postprocessing: tuple[str, ...]
    folds: tuple[int, ...]

    def __fspath__(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def __repr__(self) -> str:
        """Return the choice, its Dice, the number of candidates and the folds in one line."""
        many = f", best of {len(self.dice)} candidates" if len(self.dice) > 1 else ""
        folds = f"fold{'s' * (len(self.folds) > 1)} {', '.join(map(str, self.folds))}"
        return (
            f"{type(self).__name__}({self.best}: validation Dice {self.dice[self.best]:.4f}, postprocessed "
            f"{self.dice_postprocessed:.4f}{many}, {folds})"
        )


def select(
    candidates: Sequence[str | Path],
    output: str | Path,
    *,
    folds: int | Iterable[int] | None = None,
    jobs: int = 2,
    progress: Progress = SILENT,
) -> Selection:
    """Choose the best candidate and its postprocessing on validation cases, and apply both to the test set.

    nnU-Net's own functions do the work, as in ``nnUNetv2_find_best_configuration``: the mean Dice of the validation
    cases of all folds decides, in a tie the candidate that is given first; the postprocessing keeps the largest
    component where that improves the Dice. Other than there, candidates may be ensembles of any models, and one fold is
    enough. With one candidate, only its postprocessing is chosen.

    The test predictions of the choice are postprocessed and written in nnU-Net's layout, so the comparison shows them
    as a method. Validation cases are not written: their scores would be those that the choice was made by.

    Args:
        candidates: Folders of trained models and ensembles. Give single models before ensembles.
        output: Folder to write; an earlier selection in it is replaced.
        folds: Folds to use. Default: all that every candidate has validated. Folds 0 to 4 decide if there is one of
            them, since the validation cases of fold 5 are among theirs.
        jobs: Number of threads that read and score masks, from 1.
        progress: Receives the progress.

    Raises:
        InputError: A candidate does not exist or is damaged (codes "no-model", "invalid-model"), candidates do not go
            together ("inconsistent"), predictions are missing ("no-predictions"), the dataset or its folds are damaged
            ("invalid-dataset", "invalid-folds"), an option is invalid ("invalid-option"), or `output` exists
            ("exists").
        SetupError: nnU-Net's folder of raw datasets is not set (code "environment").

    Example:
        >>> from nnunet_femur.selection import select
        >>> models = ["validated/Dataset007_Example/FemurThreePlaneTrainer__nnUNetPlans__3d_fullres",
        ...           "validated/Dataset007_Example/FemurScratchTrainer__nnUNetPlans__3d_fullres"]
        >>> select(models, "validated/Dataset007_Example/BestConfiguration__validation__postprocessed", folds=0)
        Selection(...: validation Dice ..., postprocessed ..., best of 2 candidates, fold 0)
    """
    found = read_alike(candidates)
    if not found or jobs < 1:
        msg = f"jobs must be 1 or more, got {jobs}." if found else "candidates: must not be empty. Give a model."
        raise InputError(msg, code="invalid-option")
    if repeated := [name for name, number in Counter(each.name for each in found).items() if number > 1]:
        msg = f"{repeated[0]}: is the name of several candidates. Rename a folder."
        raise InputError(msg, code="invalid-option")
    used = shared_folds(found, several(folds))
    deciding = tuple(fold for fold in used if fold < CV_FOLDS) or used
    raw = RawDataset.open(require("nnUNet_raw", create=False) / str(found[0].plans.get("dataset_name")))
    for candidate in found:
        _require_complete(candidate, deciding, raw)
    folder = Path(output).expanduser().resolve()
    with written_entry(folder) as partial, ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nnfemur-")))
        log = stack.enter_context((partial / LOG).open("w", encoding="utf-8"))
        stack.enter_context(redirect_stdout(log))
        stack.enter_context(_in_threads())
        dice = {
            each.name: _validation_dice(each, deciding, scratch / each.name, raw, jobs=jobs)
            for each in track(found, "Scoring validation cases", progress=progress)
        }
        # Python's max returns the first of equal candidates, as nnU-Net does.
        best = max(found, key=lambda each: dice[each.name])
        steps = _choose_postprocessing(best, scratch / best.name, partial, raw, jobs=jobs)
        changed = 0
        for place in _tested(best, used):
            _apply(steps, best, place, partial / place.relative_to(best.folder), jobs=jobs)
            changed += _changed(best, place, partial / place.relative_to(best.folder))
        selection = _selection(folder, partial, best, dice, steps, deciding)
        _write(partial, best, selection, changed)
    return selection


@contextmanager
def _in_threads() -> Iterator[None]:
    """Let nnU-Net's functions use threads instead of new processes.

    Each process would import nnU-Net again, 5 to 10 s for every candidate, and scripts would need a guard.
    """
    from nnunetv2.evaluation import evaluate_predictions
    from nnunetv2.postprocessing import remove_connected_components

    modules: tuple[Any, ...] = (evaluate_predictions, remove_connected_components)
    before = [module.multiprocessing for module in modules]
    for module in modules:
        module.multiprocessing = SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool))
    try:
        yield
    finally:
        for module, original in zip(modules, before, strict=True):
            module.multiprocessing = original


def _require_complete(candidate: Candidate, folds: Sequence[int], raw: RawDataset) -> None:
    """Refuse a candidate that lacks validation cases, which nnU-Net would leave out of the mean.

    Raises:
        InputError: A prediction or a fold is missing (codes "no-predictions", "invalid-folds").
    """
    splits = raw.folds()
    seen: set[str] = set()
    for fold in folds:
        if fold >= len(splits):
            msg = f"{raw.folder}: has no fold {fold}, so its validation cases are unknown. Choose other folds."
            raise InputError(msg, code="invalid-folds")
        if repeated := seen & {*splits[fold].val}:
            msg = f"{raw.folder}: fold {fold} repeats validation cases of another fold: {', '.join(sorted(repeated))}. "
            raise InputError(msg + "Choose folds without common cases.", code="invalid-folds")
        seen |= {*splits[fold].val}
        expected, predicted = {*splits[fold].val}, candidate.masks(fold, VALIDATION).keys()
        if expected != predicted:
            problem = "lacks the validation cases" if expected - predicted else "contains cases of other folds:"
            names = ", ".join(sorted(expected - predicted) or sorted(predicted - expected))
            msg = f"{candidate.part(fold, VALIDATION)}: {problem} {names}. Validate the fold again."
            raise InputError(msg, code="no-predictions")


def _validation_dice(candidate: Candidate, folds: Sequence[int], merged: Path, raw: RawDataset, *, jobs: int) -> float:
    """Return nnU-Net's mean Dice over the validation cases of folds, whose masks are collected in `merged`.

    ``accumulate_cv_results`` of nnU-Net does the same, but finds the reference masks by the environment variables at
    the time at which nnU-Net was imported.
    """
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    merged.mkdir()
    for path in (path for fold in folds for path in candidate.masks(fold, VALIDATION).values()):
        copyfile(path, merged / path.name)
    manager = PlansManager(candidate.plans)
    labels = manager.get_label_manager(candidate.dataset)
    summary = compute_metrics_on_folder(
        str(raw.folder / LABELS_TR),
        str(merged),
        str(merged / "summary.json"),
        manager.image_reader_writer_class(),
        candidate.ending,
        labels.foreground_regions if labels.has_regions else labels.foreground_labels,
        labels.ignore_label,
        jobs,
    )
    return _dice(summary)


def _dice(summary: Mapping[str, Any]) -> float:
    value = float(summary["foreground_mean"]["Dice"])
    # Without femur in mask and reference, nnU-Net's Dice is NaN, which compares with nothing.
    return value if value == value else 0.0  # noqa: PLR0124


def _choose_postprocessing(
    best: Candidate, merged: Path, output: Path, raw: RawDataset, *, jobs: int
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return nnU-Net's postprocessing functions and their arguments, and write its files into `output`."""
    from nnunetv2.postprocessing.remove_connected_components import determine_postprocessing

    steps = determine_postprocessing(
        str(merged), str(raw.folder / LABELS_TR), best.plans, best.dataset, jobs, keep_postprocessed_files=False
    )
    for name in _POSTPROCESSING:
        copyfile(merged / name, output / name)
    return steps


def _tested(candidate: Candidate, folds: Sequence[int]) -> list[Path]:
    """Return the folders with the candidate's predictions of the test set."""
    places = [candidate.part(fold, TEST) for fold in (None, *folds)]
    return [place for place in places if place.is_dir() and any(place.glob(f"*{candidate.ending}"))]


def _apply(
    steps: tuple[list[Any], list[dict[str, Any]]], candidate: Candidate, source: Path, target: Path, *, jobs: int
) -> None:
    from nnunetv2.postprocessing.remove_connected_components import apply_postprocessing_to_folder

    target.mkdir(parents=True)
    apply_postprocessing_to_folder(
        str(source), str(target), *steps, candidate.plans, candidate.dataset, num_processes=jobs
    )


def _changed(candidate: Candidate, before: Path, after: Path) -> int:
    """Return the number of masks that postprocessing has changed."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    reader = PlansManager(candidate.plans).image_reader_writer_class()
    return sum(
        bool((reader.read_seg(str(path))[0] != reader.read_seg(str(after / path.name))[0]).any())
        for path in sorted(before.glob(f"*{candidate.ending}"))
    )


def _selection(
    folder: Path,
    written: Path,
    best: Candidate,
    dice: Mapping[str, float],
    steps: tuple[list[Any], list[dict[str, Any]]],
    folds: tuple[int, ...],
) -> Selection:
    chosen = json.loads((written / _POSTPROCESSING[1]).read_text(encoding="utf-8"))
    ordered = dict(sorted(dice.items(), key=lambda each: -each[1]))
    names = tuple(function.__name__ for function in steps[0])
    return Selection(folder, best.name, ordered, _dice(chosen["postprocessed"]), names, folds)


def _write(folder: Path, best: Candidate, selection: Selection, changed: int) -> None:
    for name in (PLANS_JSON, DATASET_JSON):
        copyfile(best.folder / name, folder / name)
    several_candidates = len(selection.dice) > 1
    recipe = {
        **({"best of": list(selection.dice)} if several_candidates else {}),
        "chosen": selection.best,
        "postprocessing": list(selection.postprocessing) or None,
        "validation folds": list(selection.folds),
    }
    facts = {
        "recipe": recipe,
        "validated": False,
        "validation_dice": dict(selection.dice),
        "validation_dice_postprocessed": selection.dice_postprocessed,
        # Masks that postprocessing left as they are would be compared twice.
        "changed_test_masks": changed,
    }
    write_record(folder, "BestConfiguration" if several_candidates else "Postprocessed", facts, best.traits)
