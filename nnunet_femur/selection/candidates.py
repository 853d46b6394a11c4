"""Candidates: trained models and ensembles in nnU-Net's layout, their masks, probabilities and folds."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import make_folder, rename, rename_flushed, write_json
from nnunet_femur.comparison.predictions import Traits, read_record, read_traits
from nnunet_femur.dataset.nnunet_names import PLANS_JSON, fold_folder
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_json
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VALIDATION = "validation"
"""nnU-Net's folder with the predictions of a fold's validation cases."""

TEST = "test"
"""Folder with the predictions of the test set, of a fold or of several folds together."""

TEST_PROBABILITIES = "test_probabilities"
"""Folder of a fold with the predictions and probabilities of the test set, as ``nnUNetv2_predict`` writes them."""

RUN_JSON = "run.json"
"""Record of a folder of this part: its members or candidates, and its settings."""

MADE_BY = "made_by"
_OURS = "nnunet_femur.selection"


@dataclass(frozen=True)
class Candidate:
    """A trained model or an ensemble, ``TRAINER__PLANS__CONFIGURATION``.

    Attributes:
        folder: The folder.
        plans: Content of its ``plans.json``.
        dataset: Content of its ``dataset.json``.
        folds: Folds with predictions of their validation cases.
        traits: Traits that decide how the comparison scores it.
        seconds: Duration of the training by fold in seconds, as far as recorded.
    """

    folder: Path
    plans: dict[str, Any] = field(repr=False)
    dataset: dict[str, Any] = field(repr=False)
    folds: tuple[int, ...]
    traits: Traits
    seconds: dict[int, float]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def ending(self) -> str:
        """Ending of its masks."""
        return str(self.dataset["file_ending"])

    def masks(self, fold: int | None, part: str) -> dict[str, Path]:
        """Return the masks of a part by case.

        Args:
            fold: The fold; None for the predictions of several folds together.
            part: :data:`VALIDATION`, :data:`TEST` or :data:`TEST_PROBABILITIES`.
        """
        folder = self.part(fold, part)
        names = sorted(path for path in folder.glob(f"*{self.ending}") if not path.name.startswith("."))
        return {path.name.removesuffix(self.ending): path for path in names}

    def part(self, fold: int | None, part: str) -> Path:
        """Return the folder of a part, which need not exist; arguments as for :meth:`masks`."""
        return (self.folder if fold is None else self.folder / fold_folder(fold)) / part


def read_candidate(path: str | Path) -> Candidate:
    """Read a trained model or an ensemble.

    Args:
        path: Its folder ``TRAINER__PLANS__CONFIGURATION``.

    Raises:
        InputError: The folder does not exist (code "no-model"), or its files are damaged (code "invalid-model").
    """
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        msg = f"{path}: not found. Give the folder TRAINER__PLANS__CONFIGURATION of a trained model."
        raise InputError(msg, code="no-model")
    plans, dataset = read_json(folder / PLANS_JSON), read_json(folder / DATASET_JSON)
    if not isinstance(plans, dict) or not isinstance(dataset, dict) or "file_ending" not in dataset:
        msg = f"{folder}: {PLANS_JSON} or {DATASET_JSON} is missing or damaged. Train the model, or copy it again."
        raise InputError(msg, code="invalid-model")
    numbers = {each: each.name.removeprefix("fold_") for each in folder.glob("fold_*") if each.is_dir()}
    folds = sorted(
        int(number) for each, number in numbers.items() if number.isdecimal() and (each / VALIDATION).is_dir()
    )
    records = {fold: _record(folder / fold_folder(fold) / RUN_JSON) for fold in folds}
    found = [record for record in (_record(folder / RUN_JSON), *records.values()) if record]
    seconds = {fold: record["seconds"] for fold, record in records.items() if "seconds" in record}
    return Candidate(folder, plans, dataset, tuple(folds), read_traits(folder, found), seconds)


def _record(path: Path) -> dict[str, Any]:
    return read_record(path) if path.is_file() else {}


def read_alike(paths: Sequence[str | Path]) -> list[Candidate]:
    """Read candidates whose masks can be compared and averaged voxel by voxel.

    Args:
        paths: Their folders.

    Raises:
        InputError: As :func:`read_candidate`; a folder is given twice (code "invalid-option"); or the candidates
            differ in dataset, labels, file ending, or in the reader, and so in the order of the axes of their arrays
            (code "inconsistent").
    """
    found = [read_candidate(path) for path in paths]
    if len({each.folder for each in found}) < len(found):
        msg = f"{', '.join(each.name for each in found)}: contains a model twice. Give each once."
        raise InputError(msg, code="invalid-option")
    for what, values in (
        ("dataset", [each.plans.get("dataset_name") for each in found]),
        ("labels", [each.dataset.get("labels") for each in found]),
        ("file ending", [each.ending for each in found]),
        # nnU-Net averages the arrays as they are, so another reader's would be flipped without any error.
        ("reader of images", [each.plans.get("image_reader_writer") for each in found]),
    ):
        differing = [(each, value) for each, value in zip(found, values, strict=True) if value != values[0]]
        if differing:
            other, value = differing[0]
            msg = (
                f"{other.folder}: its {what} is {value}, but that of {found[0].name} is {values[0]}. "
                "Choose models that were planned for the same dataset in the same way."
            )
            raise InputError(msg, code="inconsistent")
    return found


def shared_folds(candidates: Sequence[Candidate], wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the folds that all candidates have validated.

    Args:
        candidates: The candidates.
        wanted: Folds to use; empty for all that they share.

    Raises:
        InputError: A wanted fold is not validated by all of them, or they share none (code "no-predictions").
    """
    shared = set.intersection(*(set(each.folds) for each in candidates))
    for fold in wanted or ([] if shared else [0]):
        lacking = next((each for each in candidates if fold not in each.folds), None)
        if lacking is not None:
            folds = f"; validated: {', '.join(map(str, lacking.folds))}" if lacking.folds else ""
            asked = f"fold {fold} is not validated" if wanted else "shares no validated fold with the others"
            msg = f"{lacking.folder}: {asked}{folds}. Train it, or choose other folds with --fold."
            raise InputError(msg, code="no-predictions")
    if not shared:
        names = ", ".join(each.name for each in candidates)
        msg = f"{names}: share no validated fold. Train the same folds of each."
        raise InputError(msg, code="no-predictions")
    return tuple(sorted(wanted or shared))


@contextmanager
def written_entry(output: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `output` at the end, unless there was an exception.

    Raises:
        InputError: `output` exists and this part did not write it (code "exists").
        SetupError: The folder cannot be created (code "cannot-write").
    """
    record = read_json(output / RUN_JSON)
    ours = isinstance(record, dict) and record.get(MADE_BY) == _OURS
    if not ours and output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"{output}: exists, and is not an ensemble or selection of nnfemur. Choose another folder."
        raise InputError(msg, code="exists")
    partial, outdated = (output.with_name(f".{output.name}.{kind}") for kind in ("partial", "outdated"))
    rmtree(partial, ignore_errors=True)
    rmtree(outdated, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        if output.exists():
            # As a whole: a killed deletion could leave a folder without its record, which would be refused later.
            rename(output, outdated)
        rename_flushed(partial, output)
        rmtree(outdated, ignore_errors=True)
    finally:
        rmtree(partial, ignore_errors=True)


def write_record(folder: Path, method: str, content: dict[str, Any], traits: Traits) -> None:
    """Write the record of an ensemble or a selection.

    Args:
        folder: Its folder.
        method: Name of its kind.
        content: Further facts.
        traits: Its traits.
    """
    record = {
        MADE_BY: _OURS,
        "method": method,
        "works_in_slices": traits.in_slices,
        "ends_only": traits.ends_only,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        **content,
        "versions": {"nnunet_femur": __version__},
    }
    write_json(folder / RUN_JSON, record, durable=False)
