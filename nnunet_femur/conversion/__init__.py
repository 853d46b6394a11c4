"""Hospital drop to nnU-Net raw dataset.

The data's way: `layouts` finds the cases, `assignments` says whose they are, `checks` looks at their headers, `voxels`
reads a case and brings it to the dataset's form, `casework` does so for one case and `jobs` for many, `splits` deals
patients to sets and folds, `staging` puts the dataset in its place whole, `record` describes it, `report` tells a
person, `qc` shows it. `conversion` calls them in this order; `findings` is what they have to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.conversion.conversion import Conversion
from nnunet_femur.conversion.options import IntakeOptions
from nnunet_femur.conversion.splits import STUDY_PARTS
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["Conversion", "IntakeOptions", "convert"]


def convert(
    source: Path,
    *,
    dataset_id: int,
    name: str = "Femur",
    raw_folder: Path,
    seed: int = 0,
    intake: IntakeOptions | None = None,
    parts: tuple[int, int, int] = STUDY_PARTS,
    patients: Path | None = None,
    test_ids: Path | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Path:
    """Turn CTs and masks into a raw dataset of nnU-Net, with splits by patient.

    An interrupted conversion is taken up where it stopped; with an unchanged source nothing is done.

    Args:
        source: Folder with CTs and masks, or a table of them.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        name: The part of the dataset's name after its number.
        raw_folder: nnU-Net's folder of raw datasets.
        seed: Seed of the split into patients.
        intake: How the files of the source are found and read. Default: the study's folders and ids.
        parts: Training, validation and test set in proportion.
        patients: A table that says whose cases are.
        test_ids: A file that names the cases of the test set.
        jobs: Number of processes that convert cases; with more than 1, a script needs an ``if __name__`` guard.
        progress: Receives the progress.

    Returns:
        The dataset's folder, ``raw_folder/DatasetNNN_Name``.

    Raises:
        InputError: Files cannot be used, patients are too few, or the dataset's place is taken.
        SetupError: The dataset cannot be written.

    Example:
        >>> convert(Path("drop"), dataset_id=1, raw_folder=Path("nnUNet_raw"))  # doctest: +SKIP
        PosixPath('nnUNet_raw/Dataset001_Femur')
    """
    conversion = Conversion(
        source=source,
        dataset_id=dataset_id,
        raw_folder=raw_folder,
        name=name,
        seed=seed,
        intake=intake or IntakeOptions(),
        parts=parts,
        patients=patients,
        test_ids=test_ids,
        jobs=jobs,
    )
    return conversion.run(progress=progress).folder
