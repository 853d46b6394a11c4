"""What a user may choose about a prediction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nnunet_femur.errors import InputError

FORMATS = ("nrrd", "seg.nrrd", "nii.gz")
"""File endings of masks; ``seg.nrrd`` is 3D Slicer's segmentation."""


QUICK: dict[str, Any] = {"step_size": 0.8, "crop_to_bone": True, "half": True}
"""Choices for speed; the step is TotalSegmentator's, which also looks at a part of the CT only."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How CTs are segmented and what is written.

    Attributes:
        formats: Endings of the masks to write, of :data:`FORMATS`.
        stl: Whether the bone's surface is written too.
        uncertainty: Whether the standard deviation over the folds is written as a volume.
        labels: The model's labels that are femur; none for those with the word femur.
        largest_component: Whether only the largest piece is kept.
        fill_holes: Whether cavities are filled.
        step_size: Distance of neighbouring windows as a part of the window, above 0 up to 1.
        mirror: Whether the network also sees the mirrored CT, where its trainer allows it.
        crop_to_bone: Whether the network sees only the box around everything as dense as bone. Its windows lie
            elsewhere then, so that voxels at the bone's edge can differ.
        half: Whether the network computes in float16 on a CUDA device, or in bfloat16 on a processor that has it,
            instead of float32.
        any_values: Segment volumes whose values are not HU, with a warning; they are refused otherwise.
    """

    formats: tuple[str, ...] = ("nrrd",)
    stl: bool = False
    uncertainty: bool = False
    labels: tuple[str, ...] = ()
    largest_component: bool = False
    fill_holes: bool = False
    step_size: float = 0.5
    mirror: bool = True
    crop_to_bone: bool = False
    half: bool = False
    any_values: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InputError: A format or a step size that there is not.
        """
        unknown = [form for form in self.formats if form not in FORMATS]
        if unknown or not self.formats:
            msg = f"There is no format {', '.join(unknown) or 'chosen'}; choose of {', '.join(FORMATS)}."
            raise InputError(msg)
        if not 0 < self.step_size <= 1:
            msg = f"A step size of {self.step_size:g} is none: it is above 0 and not above 1."
            raise InputError(msg)

    def deciding(self) -> dict[str, Any]:
        """Return the choices that a mask depends on; older runs knew no `any_values`."""
        return {name: value for name, value in self.as_dict().items() if name != "any_values" or value}

    def as_dict(self) -> dict[str, Any]:
        """The choices by name, as JSON can hold them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
