"""A CT as the network sees it: in its orientation, cropped and preprocessed, with the way back to the CT's own grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nnunet_femur.findings import errors_of
from nnunet_femur.imaging.geometry import AxisOrder, Geometry, VolumeError, oriented
from nnunet_femur.imaging.reading import SourceHeader, Volume
from nnunet_femur.imaging.usability import require_usable
from nnunet_femur.kinds import KINDS
from nnunet_femur.prediction.ct_under_mask import CtSample
from nnunet_femur.prediction.preprocessing import Preprocessed, bone_box, network_spacing_mm, preprocess
from nnunet_femur.prediction.stage_times import StageTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.prediction.crop_model import CropModel

CANONICAL = "RAS"
"""Orientation that nnU-Net's readers with "WithReorient" in their name bring a volume to."""


class Readable(Protocol):
    """A CT that can be read: a :class:`~nnunet_femur.imaging.sources.Source`, or an image in memory."""

    @property
    def case(self) -> str:
        """Name of the CT."""

    @property
    def path(self) -> Path:
        """Path of the CT, for messages."""

    def read(self, *, any_values: bool = False) -> Volume:
        """Return the CT in HU."""


@dataclass(frozen=True)
class ImageInMemory:
    """A CT that is in memory already.

    Attributes:
        image: The CT in HU.
        case: Name of the CT.
        path: Name that messages give in place of a path.
    """

    image: sitk.Image
    case: str = "image"
    path: Path = Path("SimpleITK.Image")

    def read(self, *, any_values: bool = False) -> Volume:  # noqa: ARG002 - an image does not name its modality
        """Return the image.

        Args:
            any_values: Has no effect.

        Raises:
            VolumeError: The image is not a volume of grey values (code "not-3d" or "colour").
        """
        if self.image.GetDimension() != 3:
            problem = f"has {self.image.GetDimension()} dimensions."
            raise VolumeError(self.path, problem, KINDS["not-3d"].remedy, code="not-3d")
        if self.image.GetNumberOfComponentsPerPixel() != 1:
            problem = f"has {self.image.GetNumberOfComponentsPerPixel()} values per voxel."
            raise VolumeError(self.path, problem, KINDS["colour"].remedy, code="colour")
        return Volume(SourceHeader(Geometry.of(self.image), 1, rescaled=False), self.image)


@dataclass(frozen=True)
class NetworkInput:
    """A CT as the network sees it.

    Attributes:
        case: Name of the CT.
        preprocessed: The part of the CT that is predicted, on the network's grid.
        box: That part (z, y, x) of the CT in the network's orientation.
        oriented: Geometry of the whole CT in the network's orientation.
        geometry: The CT's own geometry.
        findings: Findings about what is doubtful about the CT.
        sample: Every n-th voxel of the CT on its own grid; None if its values are not HU.
        path: Path of the CT.
        times: Times of reading and preprocessing, to which later stages add theirs.
        for_crop: The CT for TotalSegmentator's 6 mm model; None where the femur is found without it.
    """

    case: str
    preprocessed: Preprocessed
    box: tuple[slice, ...]
    oriented: Geometry
    geometry: Geometry
    findings: tuple[Finding, ...]
    sample: CtSample | None
    path: Path
    times: StageTimes = field(default_factory=StageTimes)
    for_crop: Preprocessed | None = None

    @property
    def reading_bytes(self) -> int:
        """Approximate memory that reading and preprocessing of a CT of this size needs."""
        # The CT, its copy in the network's orientation, and a part of both in single precision.
        return 16 * math.prod(self.oriented.shape_zyx) + self.preprocessed.data.nbytes

    def without_voxels(self) -> NetworkInput:
        """Return the same without the preprocessed voxels, which only the network needs."""
        data = self.preprocessed.data.new_empty(0)
        return replace(self, preprocessed=replace(self.preprocessed, data=data), for_crop=None)

    def on_own_grid(self, part_zyx: NDArray) -> NDArray:
        """Return the predicted part on the CT's own grid, 0 elsewhere.

        Args:
            part_zyx: Values of the part (z, y, x) in the network's orientation.
        """
        whole = part_zyx
        if part_zyx.shape != self.oriented.shape_zyx:
            whole = np.zeros(self.oriented.shape_zyx, part_zyx.dtype)
            whole[self.box] = part_zyx
        return np.ascontiguousarray(AxisOrder.between(self.oriented, self.geometry).of_array(whole))


def read_input(
    source: Readable,
    predictor: nnUNetPredictor,
    *,
    crop_to_bone: bool = False,
    any_values: bool = False,
    crop_model: CropModel | None = None,
) -> NetworkInput:
    """Read and preprocess a CT for a network.

    Args:
        source: The CT. Only a sample of it is kept: the rest of its memory is free when this function returns.
        predictor: nnU-Net's predictor with plans and network.
        crop_to_bone: Take only the box around everything as dense as bone.
        any_values: Values that are not HU are a warning instead of an error.
        crop_model: TotalSegmentator's 6 mm model, to preprocess the CT for it where it saves time.

    Raises:
        VolumeError: The CT cannot be read, is too thin, or its values are not HU.
    """
    import SimpleITK as sitk

    times = StageTimes()
    with times.measuring("read"):
        volume = source.read(any_values=any_values)
        image = volume.image
        geometry = Geometry.of(image)
        findings = _findings(source, volume, any_values=any_values)
        sample = None
        if not errors_of(findings):
            sample = CtSample.of(sitk.GetArrayViewFromImage(image), geometry.spacing_mm_zyx)
        canonical = predictor.plans_manager.plans.get("image_reader_writer", "").endswith("WithReorient")
        if canonical:
            image = oriented(image, CANONICAL)
    with times.measuring("preprocess"):
        seen = Geometry.of(image)
        voxels = sitk.GetArrayViewFromImage(image)
        box = bone_box(voxels, seen.spacing_mm_zyx) if crop_to_bone else (slice(None),) * 3
        _require_thickness(source, voxels[box].shape, seen.spacing_mm_zyx, predictor)
        prepared = preprocess(voxels[box], seen.spacing_mm_zyx, predictor)
        for_crop = None
        if crop_model is not None and canonical and sample is not None:
            for_crop = crop_model.prepare(voxels[box], seen.spacing_mm_zyx, prepared.data.shape[1:], predictor)
    return NetworkInput(source.case, prepared, box, seen, geometry, findings, sample, source.path, times, for_crop)


def _findings(source: Readable, volume: Volume, *, any_values: bool) -> tuple[Finding, ...]:
    """Return what is doubtful about a CT; refuse one that `nnfemur convert` would refuse."""
    import SimpleITK as sitk

    voxels = sitk.GetArrayViewFromImage(volume.image)
    of_values = require_usable(voxels, volume.header.geometry, source.path, any_values=any_values)
    # Whatever reading left out or corrected is reported too, also where it is only a note in `convert`.
    return (*volume.header.findings, *of_values)


def _require_thickness(
    source: Readable, shape_zyx: Sequence[int], spacing_mm_zyx: Sequence[float], predictor: nnUNetPredictor
) -> None:
    """Refuse a CT that covers less than a voxel of the network's grid."""
    own_mm, wanted_mm = network_spacing_mm(predictor, spacing_mm_zyx)
    counts = [shape_zyx[axis] for axis in predictor.plans_manager.transpose_forward]
    for count, own, wanted in zip(counts, own_mm, wanted_mm, strict=True):
        if round(count * own / wanted) < 1:
            problem = f"covers {count * own:.3g} mm along one axis, less than a voxel of the model ({wanted:.3g} mm)."
            raise VolumeError(source.path, problem, KINDS["too-thin"].remedy, code="too-thin")
