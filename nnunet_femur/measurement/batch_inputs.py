"""Masks to measure, and the CT of each, as users name them: files, folders, or images in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from nnunet_femur.arguments import require_type
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom_files import is_dicom_folder
from nnunet_femur.imaging.sources import case_name, find_masks, find_sources, mask_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk

VolumeInput = Union["str | PathLike[str]", "sitk.Image"]
"""The path of a file or folder, or an image in memory."""

_UNCERTAINTY = "_uncertainty"
"""Suffix of the volumes that ``nnfemur predict --uncertainty`` writes beside the masks; they are not masks."""

IMAGE_NAME = "femur"
"""Case of a mask in memory; several are numbered."""


@dataclass(frozen=True)
class MaskToMeasure:
    """A mask, with its CT if one was given.

    Attributes:
        case: Name of the case.
        mask: The file, or an image; None if the folder contains several masks of this case.
        ct: The CT, likewise; None without one.
        problem: Reason why the mask or the CT is missing; empty if both were found.
    """

    case: str
    mask: Path | sitk.Image | None
    ct: Path | sitk.Image | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The mask as messages name it."""
        return str(self.mask) if isinstance(self.mask, Path) else self.case


def find_inputs(
    masks: VolumeInput | Sequence[VolumeInput], ct: VolumeInput | Sequence[VolumeInput] | None = None
) -> list[MaskToMeasure]:
    """Return the masks in their order, each with its CT.

    A single mask and a single CT belong together. Otherwise a CT belongs to the mask of the same name, where nnU-Net's
    channel ``_0000`` does not count, or else to the only mask whose name has the same first word: ``L442_CT.nrrd`` to
    ``L442_GS.nrrd``. CTs without a mask are ignored.

    Args:
        masks: Files, DICOM SEG, folders of masks, or images; one or several.
        ct: CTs: files, DICOM folders, folders of CTs, or images. If masks or CTs are images, one CT per mask in the
            same order.

    Raises:
        InputError: A path does not exist ("not-found"), no mask or no CT of a mask was found ("no-cases"), two masks
            have the same name ("duplicate-case"), or images and files are mixed ("invalid-option").

    Example:
        >>> [(each.case, each.ct.name) for each in find_inputs("reference.nrrd", "ct.nrrd")]
        [('reference', 'ct.nrrd')]
    """
    given = _several(masks, "masks")
    images = [each for each in given if not isinstance(each, Path)]
    if images and len(images) < len(given):
        msg = "masks must be paths or images, got both. Measure them in two calls."
        raise InputError(msg, code="invalid-option")
    if images:
        found = [
            MaskToMeasure(IMAGE_NAME if len(images) == 1 else f"{IMAGE_NAME}_{number}", image)
            for number, image in enumerate(images, 1)
        ]
    else:
        found = _distinct([each for path in given for each in _masks_of(path)])
    if not found:
        msg = "No mask was given. Give files, DICOM SEG, or folders of these."
        raise InputError(msg, code="no-cases")
    return found if ct is None else _with_cts(found, _several(ct, "ct"))


def _several(given: Any, option: str) -> list[Any]:
    import SimpleITK as sitk

    expected = "a path, a SimpleITK image, or several of them"
    if not isinstance(given, str | PathLike | sitk.Image):
        require_type(option, given, Iterable, expected)
    items = [given] if isinstance(given, str | PathLike | sitk.Image) else list(given)
    for each in items:
        if not isinstance(each, str | PathLike):
            require_type(option, each, sitk.Image, expected)
    return [Path(each) if isinstance(each, str | PathLike) else each for each in items]


def _masks_of(path: Path) -> list[MaskToMeasure]:
    """Return the masks that a path means."""
    if not path.exists():
        msg = f"{path}: not found. Check the path."
        raise InputError(msg, code="not-found")
    if not path.is_dir() or is_dicom_folder(path, outputs=False):
        return [MaskToMeasure(mask_case(path) or path.name, path)]
    files, ambiguous = find_masks(path)
    if not files and not ambiguous:
        msg = f"{path}: contains no masks. Give the folder that contains the masks themselves."
        raise InputError(msg, code="no-cases")
    found = [
        MaskToMeasure(case, file)
        for case, file in files.items()
        if not (case.endswith(_UNCERTAINTY) and case.removesuffix(_UNCERTAINTY) in files)
    ]
    found += [MaskToMeasure(case, None, problem=problem) for case, problem in ambiguous.items()]
    return sorted(found, key=lambda each: each.case)


def _distinct(found: list[MaskToMeasure]) -> list[MaskToMeasure]:
    """Return each mask once; masks of the same name get the name of their folder as a prefix."""
    unique: dict[Path | str, MaskToMeasure] = {}
    for each in found:
        unique.setdefault(each.mask.resolve() if isinstance(each.mask, Path) else each.case, each)
    masks = list(unique.values())
    counts = Counter(each.case for each in masks)
    masks = [_with_folder(each) if counts[each.case] > 1 else each for each in masks]
    counts = Counter(each.case for each in masks)
    twice = [each.name for each in masks if counts[each.case] > 1]
    if twice:
        msg = f"{', '.join(twice)}: these masks have the same name. Rename them, or measure them in two calls."
        raise InputError(msg, code="duplicate-case")
    return masks


def _with_folder(each: MaskToMeasure) -> MaskToMeasure:
    if not isinstance(each.mask, Path):
        return each
    return replace(each, case=f"{each.mask.resolve().parent.name}_{each.case}")


def _with_cts(masks: list[MaskToMeasure], cts: list[Any]) -> list[MaskToMeasure]:
    in_memory = [*(mask.mask for mask in masks if mask.mask is not None), *cts]
    if any(not isinstance(each, Path) for each in in_memory):
        if len(cts) != len(masks):
            msg = f"ct must be one CT per mask, in the same order, got {len(cts)} for {len(masks)} masks."
            raise InputError(msg, code="invalid-option")
        return [replace(mask, ct=ct) for mask, ct in zip(masks, cts, strict=True)]
    sources = find_sources(cts)
    if len(masks) == len(sources) == 1:
        return [replace(masks[0], ct=sources[0].path)]
    by_name = {source.case: source.path for source in sources} | {case_name(s.path): s.path for s in sources}
    by_word = _by_first_word([(source.case, source.path) for source in sources])
    words = _by_first_word([(mask.case, mask) for mask in masks])
    paired = []
    for mask in masks:
        word = _first_word(mask.case)
        ct = by_name.get(mask.case) or (by_word.get(word) if word in words else None)
        problem = "" if ct else f"{mask.name}: no CT of this case was given. Add it, or rename it as its mask."
        paired.append(replace(mask, ct=ct, problem=mask.problem or problem))
    if all(mask.ct is None for mask in paired):
        names = ", ".join(source.case for source in sources[:8])
        msg = f"No CT belongs to any mask. CTs: {names}. Rename each as its mask."
        raise InputError(msg, code="no-cases")
    return paired


def _first_word(case: str) -> str:
    return re.split(r"[\W_]+", case, maxsplit=1)[0].casefold()


def _by_first_word(named: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what is named by the first words of the names, without words that two names share."""
    counts = Counter(_first_word(case) for case, _ in named)
    return {_first_word(case): each for case, each in named if counts[_first_word(case)] == 1}
