"""Options of a prediction: those that determine the mask, and the files to write."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from nnunet_femur.arguments import require_one_of, several
from nnunet_femur.errors import InputError

FORMATS = ("nrrd", "seg.nrrd", "nii.gz", "dicom-seg", "rtstruct")
"""Formats of masks: file endings, of which ``seg.nrrd`` is 3D Slicer's segmentation, and two of DICOM."""

BACKENDS = ("auto", "torch", "openvino")
"""Names of the libraries that can compute a network; "auto" chooses by device, network and what is installed."""

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
"""Names of the precisions that a network can compute in; "auto" chooses by the hardware."""

QUICK: dict[str, Any] = {"step_size": 0.8, "crop_to_bone": True, "half": True}
"""Options for speed. The step is TotalSegmentator's, which also predicts only a part of the CT."""


_LATER: dict[str, Any] = {
    "any_values": False,
    "sides": False,
    "exhaustive": False,
    "backend": "auto",
    "precision": "auto",
}
"""Options that the first versions did not have, and their defaults."""


class PredictionSettings(TypedDict, total=False):
    """The attributes of :class:`Options` as keyword arguments, all of them optional."""

    formats: tuple[str, ...]
    stl: bool
    uncertainty: bool
    labels: tuple[str, ...]
    largest_component: bool
    fill_holes: bool
    step_size: float
    mirror: bool
    exhaustive: bool
    crop_to_bone: bool
    half: bool
    backend: str
    precision: str
    any_values: bool
    sides: bool


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a prediction.

    Attributes:
        formats: Formats of the masks to write, of :data:`FORMATS`. Those of DICOM need a DICOM series as CT.
        stl: Write the bone's surface too.
        uncertainty: Compute, and write, the standard deviation over the folds as a volume.
        labels: Names of the model's labels that are femur. Default: those that contain the word femur.
        largest_component: Keep only the largest piece.
        fill_holes: Fill cavities.
        step_size: Distance between neighbouring windows as a fraction of the window, above 0 up to 1.
        mirror: Average over mirrored CTs too, where the model's trainer allows it.
        exhaustive: Compute all windows of the CT. By default, a few of them find the femur, and only those that reach
            within 25 mm of it are computed; the mask is the same there, and empty elsewhere.
        crop_to_bone: Predict only the box around everything as dense as bone. The windows are at other places then, so
            voxels at the bone's edge can differ.
        half: With precision "auto", compute in bfloat16 on processors that have it, where they are not fast in float16.
        backend: Library that computes the network, one of :data:`BACKENDS`. "auto" is OpenVINO on processors, where it
            is installed and can compute the network, and PyTorch elsewhere.
        precision: One of :data:`PRECISIONS`. "auto" is float16 where the hardware is fast in it: on CUDA devices, and
            with OpenVINO on processors with instructions for it; else float32.
        any_values: Segment volumes whose values are not HU, with a warning, instead of refusing them.
        sides: Write the left femur as 1 and the right one as 2, and the surface of each to a file of its own, instead
            of one mask and surface of both. A femur of unknown side is 3.

    Example:
        >>> Options(stl=True, step_size=0.8).formats
        ('nrrd',)
        >>> Options(step_size=1.5)
        Traceback (most recent call last):
        nnunet_femur.errors.InputError: step_size must be in (0, 1], got 1.5.
    """

    formats: tuple[str, ...] = ("nrrd",)
    stl: bool = False
    uncertainty: bool = False
    labels: tuple[str, ...] = ()
    largest_component: bool = False
    fill_holes: bool = False
    step_size: float = 0.5
    mirror: bool = True
    exhaustive: bool = False
    crop_to_bone: bool = False
    half: bool = False
    backend: str = "auto"
    precision: str = "auto"
    any_values: bool = False
    sides: bool = False

    def __post_init__(self) -> None:
        """Refuse invalid values.

        Raises:
            InputError: A format, the step size, the backend or the precision is not allowed (code "invalid-option").
        """
        object.__setattr__(self, "formats", several(self.formats))
        object.__setattr__(self, "labels", several(self.labels))
        require_formats(self.formats)
        if not isinstance(self.step_size, int | float) or not 0 < self.step_size <= 1:
            msg = f"step_size must be in (0, 1], got {self.step_size!r}."
            raise InputError(msg, code="invalid-option")
        require_one_of("backend", self.backend, BACKENDS)
        require_one_of("precision", self.precision, PRECISIONS)

    def deciding(self) -> dict[str, Any]:
        """Return the options that the written files depend on, as JSON content.

        Records of older versions do not have :data:`_LATER`, so these count only where they differ from the default.
        """
        return {name: value for name, value in self.as_dict().items() if name not in _LATER or value != _LATER[name]}

    def of_mask(self) -> dict[str, Any]:
        """Return the options that :class:`~nnunet_femur.prediction.Segmenter` has too."""
        return {name: value for name, value in asdict(self).items() if name not in ("formats", "stl")}

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON content."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def require_formats(formats: tuple[str, ...]) -> None:
    """Check that masks can be written in some formats.

    Raises:
        InputError: A format is not one of :data:`FORMATS`, or `formats` is empty (code "invalid-option").
    """
    unknown = [form for form in formats if form not in FORMATS]
    if unknown or not formats:
        msg = f"format must be one of {', '.join(FORMATS)}, got {', '.join(map(repr, unknown)) or 'none'}."
        raise InputError(msg, code="invalid-option")
