"""Ensembles across methods: the mean of the probabilities of several models, as nnU-Net's ``nnUNetv2_ensemble``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.arguments import require_one_of, several
from nnunet_femur.atomic_files import write_json
from nnunet_femur.comparison.predictions import Traits
from nnunet_femur.dataset.nnunet_names import PLANS_JSON, fold_folder
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.progress import SILENT, track
from nnunet_femur.selection.candidates import (
    RUN_JSON,
    TEST,
    TEST_PROBABILITIES,
    VALIDATION,
    Candidate,
    read_alike,
    shared_folds,
    write_record,
    written_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.progress import Progress

Test = Literal["fold", "ensemble", "none"]
"""Prediction of the test set: by each fold, by all folds together, or not at all."""

_STALE = 0.01
"""Fraction of a mask's voxels that may differ from its probabilities, which another device may have computed."""

_METHOD = "Ensemble"


@dataclass(frozen=True)
class Ensemble(os.PathLike[str]):
    """An ensemble in nnU-Net's layout; usable as the path of its folder.

    Attributes:
        folder: Its folder, which ``nnfemur compare`` reads like that of a trained model.
        members: Names of the models.
        folds: Folds with predictions of their validation cases.
        cases: Number of predictions, those of the test set included.

    Example:
        >>> Ensemble(Path("results/Dataset001_Femur/Ensemble__a+b__mean"), ("a", "b"), (5,), 16)
        Ensemble(Ensemble__a+b__mean: mean of 2 models, fold 5, 16 predictions)
    """

    folder: Path
    members: tuple[str, ...]
    folds: tuple[int, ...]
    cases: int

    def __fspath__(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def __repr__(self) -> str:
        """Return name, number of models, folds and number of predictions in one line."""
        folds = f"fold{'s' * (len(self.folds) > 1)} {', '.join(map(str, self.folds))}"
        return (
            f"{type(self).__name__}({self.folder.name}: mean of {len(self.members)} models, {folds}, "
            f"{self.cases} predictions)"
        )


@dataclass(frozen=True)
class _Merge:
    """One prediction of an ensemble: the masks beside the probabilities of its members, and the file to write."""

    masks: tuple[Path, ...]
    output: Path


def ensemble(
    models: Sequence[str | Path],
    output: str | Path,
    *,
    folds: int | Iterable[int] | None = None,
    test: Test = "fold",
    progress: Progress = SILENT,
) -> Ensemble:
    """Average the probabilities of several trained models, such as a 2D and a 3D network.

    The result is what nnU-Net's ``nnUNetv2_ensemble`` and ``nnUNetv2_find_best_configuration`` compute. It is written
    in nnU-Net's layout, so the comparison shows it as a method. Models need probabilities: of the validation cases by
    ``nnUNetv2_train ... --val --npz``, of the test set by ``nnUNetv2_predict ... --save_probabilities`` with the output
    folder ``MODEL/fold_K/test_probabilities``. A study makes both.

    Args:
        models: Folders ``TRAINER__PLANS__CONFIGURATION``, at least two.
        output: Folder to write; an earlier ensemble in it is replaced.
        folds: Folds to use. Default: all that every model has validated.
        test: "fold": each fold predicts the test set; "ensemble": all folds together, as the mean of all probabilities;
            "none": the validation cases alone.
        progress: Receives the progress.

    Returns:
        The folder and what is in it.

    Raises:
        InputError: A model does not exist or is damaged (codes "no-model", "invalid-model"), models do not go together
            or probabilities are not those of the masks beside them ("inconsistent"), probabilities or folds are missing
            ("no-predictions"), an option is invalid ("invalid-option"), or `output` exists ("exists").
        SetupError: The folder cannot be written (code "cannot-write").

    Example:
        >>> from nnunet_femur.selection import ensemble
        >>> models = ["validated/Dataset007_Example/FemurThreePlaneTrainer__nnUNetPlans__3d_fullres",
        ...           "validated/Dataset007_Example/FemurScratchTrainer__nnUNetPlans__3d_fullres"]
        >>> ensemble(models, "validated/Dataset007_Example/Ensemble__both__mean", folds=0, test="none")
        Ensemble(Ensemble__both__mean: mean of 2 models, fold 0, ... predictions)
    """
    require_one_of("test", test, ("fold", "ensemble", "none"))
    members = read_alike(models)
    if len(members) < 2:
        msg = f"{', '.join(each.name for each in members) or 'models'}: an ensemble needs two models. Give another one."
        raise InputError(msg, code="invalid-option")
    if len({each.traits.ends_only for each in members}) > 1:
        only = next(each.name for each in members if each.traits.ends_only)
        msg = f"{only}: predicts only the ends of the femur, others whole femurs. Average models of one kind."
        raise InputError(msg, code="inconsistent")
    used = shared_folds(members, several(folds))
    folder = Path(output).expanduser().resolve()
    with written_entry(folder) as partial:
        merges = [merge for fold in used for merge in _merges(members, [fold], VALIDATION, partial, fold)]
        if test == "fold":
            merges += [merge for fold in used for merge in _merges(members, [fold], TEST, partial, fold)]
        elif test == "ensemble":
            merges += _merges(members, used, TEST, partial, None)
        for name in (PLANS_JSON, DATASET_JSON):
            # nnU-Net's commands read the labels and the reader from them.
            copyfile(members[0].folder / name, partial / name)
        for merge in track(merges, "Averaging", progress=progress):
            _write_mean(merge, members[0])
        _write_records(partial, members, used)
    return Ensemble(folder, tuple(each.name for each in members), used, len(merges))


def _merges(
    members: Sequence[Candidate], folds: Sequence[int], part: str, output: Path, fold: int | None
) -> list[_Merge]:
    """Return the predictions of a part, a member's masks of all `folds` for each.

    Raises:
        InputError: Probabilities are missing, or members have other cases (code "no-predictions").
    """
    source = VALIDATION if part == VALIDATION else TEST_PROBABILITIES
    found = [(member, number, member.masks(number, source)) for member in members for number in folds]
    cases = sorted({case for _, _, masks in found for case in masks})
    for member, number, masks in found:
        folder = member.part(number, source)
        missing = [case for case in cases if case not in masks or not _probabilities(masks[case], member).is_file()]
        if missing or not cases:
            names = f" of {', '.join(missing)}" if folder.is_dir() and missing else ""
            msg = f"{folder}: probabilities{names} are missing. Run: {_command(member, number, source)}"
            raise InputError(msg, code="no-predictions")
    target = (output if fold is None else output / fold_folder(fold)) / part
    target.mkdir(parents=True)
    ending = members[0].ending
    return [_Merge(tuple(masks[case] for _, _, masks in found), target / f"{case}{ending}") for case in cases]


def _command(member: Candidate, fold: int, part: str) -> str:
    """Return the command that writes the probabilities of a member."""
    if part == VALIDATION:
        trainer, plans, configuration = member.name.split("__") if member.name.count("__") == 2 else ("T", "P", "C")
        dataset = member.plans.get("dataset_name")
        return f"nnUNetv2_train {dataset} {configuration} {fold} -tr {trainer} -p {plans} --val --npz"
    return (
        f"nnUNetv2_predict_from_modelfolder -i IMAGES -o {member.part(fold, part)} -m {member.folder} -f {fold} "
        "--save_probabilities"
    )


def _probabilities(mask: Path, member: Candidate) -> Path:
    return mask.with_name(f"{mask.name.removesuffix(member.ending)}.npz")


def _write_mean(merge: _Merge, first: Candidate) -> None:
    """Write the mask of the mean probability of all members.

    Raises:
        InputError: Probabilities are damaged (code "unreadable"), or are not those of the mask beside them (code
            "inconsistent").
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(first.plans)
    labels, reader = manager.get_label_manager(first.dataset), manager.image_reader_writer_class()

    def checked(path: Path) -> tuple[NDArray[Any], Any]:
        """Return the probabilities beside a mask, and the geometry of the mask."""
        file = _probabilities(path, first)
        probabilities = _read(file)
        mask, geometry = reader.read_seg(str(path))
        if probabilities.shape[1:] != mask.shape[1:]:
            msg = f"{file}: has the shape {probabilities.shape[1:]}, but the mask {mask.shape[1:]}. Predict it again."
            raise InputError(msg, code="inconsistent")
        _refuse_stale(labels.convert_probabilities_to_segmentation(probabilities), mask[0], file)
        return probabilities, geometry

    total, geometry = checked(merge.masks[0])
    for path in merge.masks[1:]:
        probabilities, _ = checked(path)
        if probabilities.shape != total.shape:
            msg = f"{path}: differs in shape from {merge.masks[0]}. Predict the case again with both models."
            raise InputError(msg, code="inconsistent")
        total += probabilities
    total /= len(merge.masks)
    reader.write_seg(labels.convert_probabilities_to_segmentation(total), str(merge.output), geometry)


def _read(file: Path) -> NDArray[Any]:
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as content:
            return np.asarray(content["probabilities"], dtype=np.float32)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        msg = f"{file}: cannot be read as nnU-Net's probabilities ({type(error).__name__}). Predict the case again."
        raise InputError(msg, code="unreadable") from error


def _refuse_stale(of_probabilities: NDArray[Any], mask: NDArray[Any], file: Path) -> None:
    """Refuse probabilities of an earlier training, beside masks of a later one that saved none."""
    import numpy as np

    differing = int(np.count_nonzero(of_probabilities != mask))
    if differing > _STALE * max(int(np.count_nonzero(mask)), 1):
        msg = (
            f"{file}: its mask differs from the mask beside it in {differing} voxels, so the probabilities are of "
            "another training. Delete the .npz files of the folder, and predict with probabilities again."
        )
        raise InputError(msg, code="inconsistent")


def _write_records(folder: Path, members: Sequence[Candidate], folds: Sequence[int]) -> None:
    """Write the record of the ensemble, and in each fold the duration of its members' trainings."""
    traits = Traits(
        in_slices=all(each.traits.in_slices for each in members),
        ends_only=all(each.traits.ends_only for each in members),
    )
    names = [each.name for each in members]
    write_record(folder, _METHOD, {"recipe": {"members": names, "average": "mean probability"}}, traits)
    for fold in folds:
        seconds = [each.seconds.get(fold) for each in members]
        if all(isinstance(each, int | float) for each in seconds):
            known = {"fold": fold, "seconds": round(sum(each for each in seconds if each is not None), 1)}
            write_json(folder / fold_folder(fold) / RUN_JSON, known, durable=False)
