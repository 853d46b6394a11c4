"""Cases of a prediction folder, each checked as its mask is now, and ordered by urgency."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import FemurError, InputError
from nnunet_femur.imaging.geometry import VOLUME_ENDINGS, stem
from nnunet_femur.imaging.sources import digest, find_sources
from nnunet_femur.kinds import KINDS
from nnunet_femur.prediction.prediction_kinds import PREDICTION_KINDS, review_score
from nnunet_femur.prediction.results import RECORD, CaseResult, read_results
from nnunet_femur.reviewing.review_record import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.measurement.density.ct_on_mask import CtOfMask
    from nnunet_femur.prediction.segmented_femur import Femur

_UNCERTAINTY = "_uncertainty"
_SEGMENTATION = ".seg.nrrd"
_ENDINGS = (*VOLUME_ENDINGS, ".seg.dcm")
_CHECKED_AGAIN = (
    "side-contradiction",
    "upside-down",
    "back-to-front",
    "same-side",
    "sides-exchanged",
    "shape-unchecked",
)
"""Codes of :data:`KINDS` about the mask, which is checked as it is now; the others are about the CT."""

_OF_PREDICTION = ("not-localised",)
"""Codes of the prediction itself, which neither mask nor CT shows."""


@dataclass(frozen=True)
class FoundCase:
    """Files of a case in a prediction folder.

    Attributes:
        case: Name of the case.
        mask: The mask; None if the prediction failed.
        ct: The CT; None if it was not found.
        uncertainty: Volume with the standard deviation over the folds; None without one.
        result: Entry of the case in ``predictions.json``; None without one.
    """

    case: str
    mask: Path | None
    ct: Path | None
    uncertainty: Path | None = None
    result: CaseResult | None = None

    def mark(self, folder: Path) -> Mark:
        """Return the entry of the case in ``review.json``, without a mark.

        Args:
            folder: The folder of the masks.
        """
        mask = ("", "") if self.mask is None else (self.mask.name, digest(self.mask))
        return Mark(self.case, *mask, "" if self.ct is None else relative_path(self.ct, folder))


def relative_path(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes; absolute if the two are on different drives."""
    try:
        return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return path.absolute().as_posix()


def find_reviewed(folder: Path, cts: Sequence[Path] = ()) -> list[FoundCase]:
    """Return the cases of a prediction folder, by name.

    If a case has several masks, the ``.seg.nrrd`` is the one that is shown and corrected.

    Args:
        folder: The folder.
        cts: CTs or folders of CTs that are named as the masks. Default: the paths in ``predictions.json``.

    Raises:
        InputError: The folder does not exist (code "not-found"), or contains no masks ("no-predictions").
    """
    if not folder.is_dir():
        msg = f"{folder}: folder not found. Give the folder that nnfemur predict wrote."
        raise InputError(msg, code="not-found")
    results = read_results(folder)
    masks = _masks(folder)
    given = {source.case: source.path for source in find_sources(cts)} if cts else {}
    names = sorted({*results, *masks})
    if not names:
        msg = f"{folder}: contains no masks and no {RECORD}. Give the folder that nnfemur predict wrote."
        raise InputError(msg, code="no-predictions")
    found = []
    for case in names:
        result = results.get(case)
        uncertainty = folder / f"{case}{_UNCERTAINTY}.nrrd"
        found.append(
            FoundCase(
                case,
                masks.get(case),
                given.get(case) or _recorded_ct(result, folder),
                uncertainty if uncertainty.is_file() else None,
                result,
            )
        )
    return found


def _masks(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda each: (not each.name.lower().endswith(_SEGMENTATION), each.name)):
        name = path.name.lower()
        if path.is_file() and name.endswith(_ENDINGS) and not name.startswith("."):
            found.setdefault(stem(path), path)
    return {case: path for case, path in found.items() if case.removesuffix(_UNCERTAINTY) not in found.keys() - {case}}


def _recorded_ct(result: CaseResult | None, folder: Path) -> Path | None:
    """Return the CT of ``predictions.json``, whose path was relative to the folder of the command."""
    if result is None:
        return None
    source = Path(result.source)
    tried = [source] if source.is_absolute() else [source, *(each / source for each in folder.absolute().parents)]
    return next((path for path in tried if path.exists()), None)


@dataclass(frozen=True, eq=False)
class CheckedCase:
    """A case whose mask was read and checked.

    Attributes:
        found: Its files.
        femur: The mask with findings and measurements; None if the prediction failed or the mask cannot be read.
        ct: The CT on the grid of the mask; None if it was not found or does not fit.
        doubts: Code and text of each finding.
        problem: Reason why mask or CT is missing; empty if both were read.
        has_mask: True if the mask was read.
    """

    found: FoundCase
    femur: Femur | None
    ct: CtOfMask | None
    doubts: tuple[tuple[str, str], ...]
    problem: str = ""
    has_mask: bool = False

    @property
    def score(self) -> float:
        """Urgency of a look at the case, from 0 to 1; 1 without a mask."""
        return review_score((code for code, _ in self.doubts), self.disagreement) if self.has_mask else 1.0

    @property
    def disagreement(self) -> float | None:
        """Disagreement of the folds; None with one fold, and for a mask without a record."""
        return None if self.found.result is None else self.found.result.disagreement

    def measured(self) -> list[dict[str, Any]]:
        """Return the measured quantities that have a range in adults, for each femur, with what is out of range."""
        from nnunet_femur.measurement.quantities import QUANTITIES

        rows: list[dict[str, Any]] = []
        for femur in () if self.femur is None else self.femur.measurements:
            for quantity in QUANTITIES.values():
                value = femur.values.get(quantity.key)
                if quantity.normal is None or not isinstance(value, int | float):
                    continue
                low, high = quantity.normal
                row = {"side": femur.side, "label": quantity.label, "unit": quantity.unit, "value": float(value)}
                rows.append({**row, "low": low, "high": high, "outside": not low <= value <= high})
        return sorted(rows, key=lambda row: not row["outside"])


def check_case(found: FoundCase) -> CheckedCase:
    """Read mask and CT of a case, and check the mask as it is now.

    Args:
        found: Its files.
    """
    from nnunet_femur.imaging.femur_mask import read_femur
    from nnunet_femur.imaging.geometry import image_of
    from nnunet_femur.measurement.density.ct_on_mask import read_ct_on
    from nnunet_femur.prediction.ct_under_mask import CtSample
    from nnunet_femur.prediction.segmented_femur import Femur

    recorded = found.result
    if found.mask is None:
        error = recorded.error if recorded is not None and recorded.error else f"{found.case}: the mask is missing."
        return CheckedCase(found, None, None, (), error)
    try:
        mask = read_femur(found.mask, labels=_labels(found.mask))
    except FemurError as error:
        return CheckedCase(found, None, None, (), str(error))
    geometry = mask.header.geometry
    image: sitk.Image = image_of(mask.voxels_zyx.astype("uint8"), geometry)
    ct, problem = None, f"{found.case}: no CT found. Give its folder with --ct."
    if found.ct is not None:
        try:
            ct, problem = read_ct_on(found.ct, geometry, str(found.mask)), ""
        except FemurError as error:
            problem = str(error)
    sample = _sample(ct, geometry, CtSample)
    femur = Femur.from_mask(image, case=found.case, ct=sample)
    doubts = dict.fromkeys((each.code, each.problem.rstrip(".")) for each in femur.findings)
    for code in () if recorded is None else recorded.findings:
        if (code in KINDS and code not in _CHECKED_AGAIN) or code in _OF_PREDICTION:
            kind = KINDS.get(code) or PREDICTION_KINDS[code]
            doubts[code, kind.meaning] = None
    return CheckedCase(found, femur, ct, tuple(doubts), problem, has_mask=True)


def _labels(path: Path) -> tuple[int, ...]:
    """Return the values of left, right and unknown femur for a volume that has sides; a segmentation names them."""
    from nnunet_femur.imaging.reading import read_mask_header

    return () if read_mask_header(path).segments else (1, 2, 3)


def _sample(ct: CtOfMask | None, geometry: Geometry, kind: Any) -> Any:
    if ct is None or ct.hu_zyx.shape != geometry.shape_zyx:
        return None
    return kind.of(ct.hu_zyx, geometry.spacing_mm_zyx)


def worst_first(checked: Sequence[CheckedCase]) -> list[CheckedCase]:
    """Return cases in the order of review: the largest score first; equal ones by the disagreement, then by name.

    Args:
        checked: The cases.
    """
    return sorted(checked, key=lambda each: (-each.score, -(each.disagreement or 0.0), each.found.case))
