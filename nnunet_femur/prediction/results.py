"""Files of a prediction: masks, surfaces and uncertainty of each case, ``predictions.json`` and ``predictions.csv``."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.atomic_files import write_json, write_text
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.surface_mesh import bone_surface, write_stl
from nnunet_femur.imaging.writing import segment_fields, write_volume
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.prediction.options import Options


RECORD, TABLE = "predictions.json", "predictions.csv"


@dataclass(frozen=True)
class CaseResult:
    """One case of a run.

    Attributes:
        case: Its name.
        source: The CT's path as it was given.
        state: The CT's files when it was predicted; see :meth:`Source.state`.
        settings: Fingerprint of the model and the options.
        files: Names and bytes of what was written.
        volume_ml: Volume of the femur in ml.
        pieces: Number of its pieces.
        disagreement: 1 minus the mean Dice of all pairs of folds; None with one fold.
        seconds: Time it took.
        precision: What the network calculated in, such as "float32"; empty in records of older versions.
        warnings: What is implausible about the result.
        error: Why there is no result; empty if there is one.
    """

    case: str
    source: str
    state: dict[str, float] = field(default_factory=dict)
    settings: str = ""
    files: dict[str, int] = field(default_factory=dict)
    volume_ml: float | None = None
    pieces: int | None = None
    disagreement: float | None = None
    seconds: float = 0.0
    precision: str = ""
    warnings: tuple[str, ...] = ()
    error: str = ""

    def holds(self, folder: Path, *, settings: str, state: Mapping[str, float]) -> bool:
        """Whether this result is what a run with these settings and this CT would give, and still lies there whole."""
        return (
            not self.error
            and self.settings == settings
            and self.state == dict(state)
            and all(_size(folder / name) == size for name, size in self.files.items())
        )


def sizes(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """The number of bytes of each file."""
    return {name: (folder / name).stat().st_size for name in names}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def read_results(folder: Path) -> dict[str, CaseResult]:
    """The results of earlier runs by case; none where there is no record, or one of another version."""
    content = read_json(folder / RECORD)
    try:
        results = [CaseResult(**{**case, "warnings": tuple(case["warnings"])}) for case in content["cases"]]
    except (TypeError, KeyError):
        return {}
    return {result.case: result for result in results}


def write_results(folder: Path, results: Iterable[CaseResult], about: Mapping[str, Any]) -> None:
    """Write both files, each whole or not at all.

    Args:
        folder: Where the predictions lie.
        results: All cases of that folder, also those of earlier runs.
        about: Model, options and versions of this run.
    """
    ordered = sorted(results, key=lambda result: result.case)
    write_json(folder / RECORD, {**about, "cases": [asdict(result) for result in ordered]})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ("case", "volume_ml", "pieces", "disagreement", "seconds", "warnings", "error", "source", "files")
    table.writerow(columns)
    for result in ordered:
        row = {**asdict(result), "warnings": "; ".join(result.warnings), "files": " ".join(result.files)}
        row |= {"volume_ml": _rounded(result.volume_ml, 2), "disagreement": _rounded(result.disagreement, 4)}
        table.writerow([row[column] for column in columns])
    write_text(folder / TABLE, text.getvalue())


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def write_case(
    folder: Path,
    case: str,
    mask_zyx: NDArray[np.uint8],
    geometry: Geometry,
    *,
    deviation_zyx: NDArray[np.float32] | None = None,
    options: Options,
) -> list[str]:
    """Write what the options ask for and return the names of the files.

    An empty mask has no surface, so none is written, and one of an earlier run is removed.

    Raises:
        SetupError: A file cannot be written.
    """
    names = []
    for form in options.formats:
        image = image_of(mask_zyx, geometry)
        if form == "seg.nrrd":
            for key, value in segment_fields(mask_zyx).items():
                image.SetMetaData(key, value)
        names.append(f"{case}.{form}")
        write_volume(image, folder / names[-1])
    if deviation_zyx is not None:
        names.append(f"{case}_uncertainty.nrrd")
        # A thousandth is finer than it means anything, and packs to a tenth of the size.
        write_volume(image_of(np.round(deviation_zyx, 3), geometry), folder / names[-1])
    if options.stl:
        surface = bone_surface(mask_zyx, geometry)
        path = folder / f"{case}.stl"
        if len(surface.triangles):
            write_stl(surface, path)
            names.append(path.name)
        else:
            path.unlink(missing_ok=True)
    return names
