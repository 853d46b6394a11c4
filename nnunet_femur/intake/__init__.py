"""Hospital drop to nnU-Net raw dataset.

The data's way: `pairing` finds the cases, `checks` looks at their headers, `splits` deals patients to sets and folds,
`voxels` reads a case and brings it to the dataset's form, `staging` puts the dataset in its place whole, `record`
describes it, `report` tells a person. `conversion` calls them in this order; `findings` is what they have to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.intake.conversion import Conversion
from nnunet_femur.intake.options import IntakeOptions
from nnunet_femur.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.progress import Track

__all__ = ["Conversion", "IntakeOptions", "convert"]


def convert(
    source: Path,
    *,
    dataset_id: int,
    name: str = "Femur",
    raw_folder: Path,
    seed: int = 0,
    intake: IntakeOptions | None = None,
    track: Track = silent,
) -> Path:
    """Turn a folder with pairs of CT and mask into a raw dataset of nnU-Net, with splits by patient.

    An interrupted conversion is taken up where it stopped; with an unchanged source nothing is done.

    Args:
        source: Folder with a folder of CTs and a folder of masks, NRRD files paired by the id that begins their names.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        name: The part of the dataset's name after its number.
        raw_folder: nnU-Net's folder of raw datasets.
        seed: Seed of the split into patients.
        intake: How the files of the source are found and read. Default: the study's folders and ids.
        track: Shows the progress.

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
    )
    return conversion.run(track=track).folder
