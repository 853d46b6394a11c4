"""Parity check: an exported model and the model that it was made from predict the same CT."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.errors import SetupError
from nnunet_femur.imaging.geometry import oriented
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.model_export.targets import Target
    from nnunet_femur.model_export.trained_networks import TrainedNetworks
    from nnunet_femur.prediction.segmenter import Segmenter

TOLERANCE = 1e-4
"""Largest allowed number of differing voxels per voxel of the femur: rounding where both resample."""

SURFACE_TOLERANCE = 5e-4
"""Largest allowed number of differing voxels per voxel at the femur's surface, which decides for ragged masks.

Two programs may differ where the largest two logits, which nnU-Net sums in float16, are equal: that is at surfaces."""

SEED = 1
"""Seed of the phantom."""

_LARGEST_MM = (520.0, 260.0, 260.0)
"""Largest field of view of the phantom along z, y, x in mm: a whole femur and the soft tissue around it."""

_WINDOWS = (1.5, 1.0, 1.0)
"""Field of view along z, y, x in windows of the network: two windows along the bone, so that their sum is checked."""

_COARSER = 1.25
"""Spacing of the phantom relative to the network's, so that resampling is checked, too."""

_SLICE_MM, _SLICES = 4.0, 24
"""Spacing in mm and number of slices for networks that leave them as they are."""


@dataclass(frozen=True)
class FoldParity:
    """Masks of one fold by both programs.

    Attributes:
        fold: Name of the fold.
        femur_voxels: Voxels of the femur in the mask of the model.
        surface_voxels: Those of them that have a neighbour outside of the femur, along an axis.
        exported_voxels: Voxels of the femur in the mask of the exported model.
        differing_voxels: Voxels in one mask but not in the other.
    """

    fold: str
    femur_voxels: int
    surface_voxels: int
    exported_voxels: int
    differing_voxels: int

    @property
    def agrees(self) -> bool:
        """True if the masks differ by rounding at most."""
        allowed = max(TOLERANCE * self.femur_voxels, SURFACE_TOLERANCE * self.surface_voxels)
        return self.differing_voxels <= allowed

    @classmethod
    def of_masks(cls, fold: str, ours: NDArray[np.bool_], exported: NDArray[np.bool_]) -> FoldParity:
        """Compare two masks of the same grid.

        Example:
            >>> mask = np.ones((2, 2, 2), bool)
            >>> FoldParity.of_masks("0", mask, mask).agrees
            True
        """
        from scipy.ndimage import binary_erosion

        surface = ours & ~binary_erosion(ours)
        counts = (np.count_nonzero(each) for each in (ours, surface, exported, ours != exported))
        return cls(fold, *map(int, counts))


@dataclass(frozen=True)
class Parity:
    """Result of a parity check.

    Attributes:
        ct: Description of the CT.
        program: Name and version of the program that ran the exported model.
        device: Device that both ran on.
        precision: Precision that the network of the model computed in.
        folds: The masks of each fold.
    """

    ct: str
    program: str
    device: str
    precision: str
    folds: tuple[FoldParity, ...]

    @property
    def femur_voxels(self) -> int:
        """Voxels of the femur in the masks of all folds; 0 if nothing was found, so that the check shows little."""
        return sum(fold.femur_voxels for fold in self.folds)

    @property
    def differing_voxels(self) -> int:
        """Voxels that differ, in all folds."""
        return sum(fold.differing_voxels for fold in self.folds)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON content."""
        return {
            "ct": self.ct,
            "program": self.program,
            "device": self.device,
            "precision": self.precision,
            "tolerance": {"per_femur_voxel": TOLERANCE, "per_surface_voxel": SURFACE_TOLERANCE},
            "femur_found": self.femur_voxels > 0,
            "folds": {
                fold.fold: {
                    "femur_voxels": fold.femur_voxels,
                    "surface_voxels": fold.surface_voxels,
                    "exported_voxels": fold.exported_voxels,
                    "differing_voxels": fold.differing_voxels,
                }
                for fold in self.folds
            },
        }


def check_parity(
    networks: TrainedNetworks,
    target: Target,
    folder: Path,
    *,
    ct: Path | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Parity:
    """Predict a CT with a model and with its export, fold by fold, and compare the masks.

    Args:
        networks: The model.
        target: The format.
        folder: The exported files.
        ct: The CT; None for a phantom that is made for the network's windows and spacing.
        device: "cpu", "cuda" or "mps"; always "cpu" for formats that do not take it.
        progress: Receives the progress.

    Raises:
        SetupError: The masks differ by more than rounding (code "export-differs"), or the program that runs
            the exported model failed (code "program-failed").
        VolumeError: `ct` cannot be read.
    """
    import SimpleITK as sitk

    if not target.takes_device:
        device = "cpu"
    image, described = _phantom(networks) if ct is None else _read(ct)
    image = oriented(image, target.check_orientation)
    described = f"{described}, stored as {target.check_orientation}"
    with tempfile.TemporaryDirectory(prefix="nnfemur-parity-") as temporary:
        path = Path(temporary) / f"check{target.check_ending(networks)}"
        sitk.WriteImage(image, str(path))
        ours, precision = [], ""
        for fold in track(networks.folds, "Predict the check's CT", progress=progress):
            with _reference(networks, fold, device) as segmenter:
                precision = segmenter.precision
                ours.append(sitk.GetArrayFromImage(segmenter(path).mask) > 0)
        workspace = Path(temporary) / "exported"
        workspace.mkdir()
        task = "Predict it with the exported model"
        progress.begin(task)
        try:
            exported = target.masks(networks, folder, path, workspace=workspace, device=device)
        finally:
            progress.end(task)
    compared = tuple(map(FoldParity.of_masks, networks.folds, ours, exported))
    for each in compared:
        if not each.agrees:
            msg = (
                f"{networks.model.name}: {each.differing_voxels} voxels differ between the model and its export, of "
                f"{each.femur_voxels} voxels of the femur (fold {each.fold}). Nothing was written. If the network is "
                "trained, report this to the developers; in the noise of an untrained one, equal logits are frequent."
            )
            raise SetupError(msg, code="export-differs")
    return Parity(described, target.program(), device, precision, compared)


def _reference(networks: TrainedNetworks, fold: str, device: str) -> Segmenter:
    """Return the model as nnU-Net would run it: in all windows, by PyTorch, and in nnU-Net's precision."""
    from nnunet_femur.prediction.segmenter import Segmenter

    return Segmenter(
        replace(networks.model, folds=(fold,)),
        device=device,
        exhaustive=True,
        backend="torch",
        # On GPUs, nnU-Net computes in float16.
        precision="float16" if device == "cuda" else "float32",
    )


def _read(path: Path) -> tuple[sitk.Image, str]:
    from nnunet_femur.imaging.reading import read_ct

    # Without its name, which may be a patient's.
    image = read_ct(path).image
    return image, f"a CT given by the user, {_grid_text(image.GetSize()[::-1], image.GetSpacing()[::-1])}"


def _phantom(networks: TrainedNetworks) -> tuple[sitk.Image, str]:
    """Return a phantom that fills the windows of a network, and its description."""
    from nnunet_femur.testing import make_phantom

    size, spacing = phantom_grid(
        networks.configuration.patch_size, networks.configuration.spacing, networks.plans.transpose_backward
    )
    phantom = make_phantom(SEED, size_zyx=size, spacing_mm_zyx=spacing)
    return phantom.image, f"phantom of seed {SEED}, {_grid_text(size, spacing)}"


def phantom_grid(
    patch_size: list[int], spacing_mm: list[float], transpose_backward: list[int]
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Return the grid of a phantom for a network.

    Args:
        patch_size: The network's window in voxels; two numbers for slices.
        spacing_mm: Spacing of its input, in the order of the plans; two numbers for slices.
        transpose_backward: Order of the array axes among those of the plans.

    Returns:
        Size in voxels and spacing in mm, along z, y, x.

    Example:
        >>> phantom_grid([128, 128, 128], [1.5, 1.5, 1.5], [0, 1, 2])
        ((154, 102, 102), (1.875, 1.875, 1.875))
    """
    slices = 3 - len(patch_size)
    patch = [*[0] * slices, *patch_size]
    network_mm = [*[_SLICE_MM] * slices, *spacing_mm][-3:]
    size, spacing = [], []
    for axis, place in enumerate(transpose_backward):
        mm = network_mm[place] * _COARSER
        extent = min(_WINDOWS[axis] * patch[place] * network_mm[place], _LARGEST_MM[axis])
        size.append(max(8, round(extent / mm)) if patch[place] else _SLICES)
        spacing.append(float(mm))
    return (size[0], size[1], size[2]), (spacing[0], spacing[1], spacing[2])


def _grid_text(size_zyx: tuple[int, ...], spacing_mm_zyx: tuple[float, ...]) -> str:
    return f"{' x '.join(map(str, size_zyx))} voxels of {' x '.join(f'{mm:.4g}' for mm in spacing_mm_zyx)} mm (z, y, x)"
