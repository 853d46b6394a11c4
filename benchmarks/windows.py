"""Number of windows that nnfemur predict computes by default, and in nnU-Net's whole grid, for CTs of several sizes.

Run: uv run python benchmarks/windows.py

No network is needed: the phantom's mask is in the place of its output. Windows have 128 x 128 x 128 voxels of 1.5 mm,
as those of TotalSegmentator's femur model.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch
from marked_tables import table

from nnunet_femur.prediction.fold_logits import logits_of_folds
from nnunet_femur.prediction.localisation import MARGIN_MM
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.prediction.coarse_blocks import Blocks

SPACING_MM, WINDOW, STEP = 1.5, 128, 0.5
LEG_ZYX = (400, 166, 126)
AIR_HU = -1000


class MaskAsNetwork:
    """A network that returns the second channel of its input."""

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        """Do nothing."""

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return logits of background and femur."""
        return torch.stack([0.5 - windows[:, 1], windows[:, 1] - 0.5], 1)


class MaskAsCropModel:
    """A localiser that finds the mask, as exactly as the 6 mm model is trusted."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self.mask = mask

    def region(self, blocks: Blocks, inside: Box) -> NDArray[np.bool_]:
        """Return the blocks around the mask."""
        counts = np.zeros(blocks.counts, np.int32)
        counts[blocks.of_box(inside)] = blocks.counted(self.mask, inside)
        return blocks.dilated(counts > 0, MARGIN_MM + 6.0)


def _leg(side: str) -> tuple[NDArray, NDArray]:
    made = make_phantom(3, side=side, size_zyx=LEG_ZYX, spacing_mm_zyx=(SPACING_MM,) * 3)
    images = (sitk.DICOMOrient(each, "RAS") for each in (made.image, made.mask))
    ct, mask = (sitk.GetArrayFromImage(image) for image in images)
    return ct, mask > 0


def volumes() -> dict[str, tuple[NDArray, NDArray]]:
    """Return CT and mask by name."""
    one = _leg("left")
    legs = tuple(np.concatenate([left, right], 2) for left, right in zip(one, _leg("right"), strict=True))

    def placed(parts: list[tuple[int, int, int, bool]], shape: tuple[int, int, int]) -> tuple[NDArray, NDArray]:
        ct, mask = np.full(shape, AIR_HU, legs[0].dtype), np.zeros(shape, bool)
        for z, y, x, is_femur in parts:
            stop = min(shape[0], z + LEG_ZYX[0])
            place = (slice(z, stop), slice(y, y + LEG_ZYX[1]), slice(x, x + legs[0].shape[2]))
            ct[place] = legs[0][: stop - z]
            mask[place] = legs[1][: stop - z] & is_femur
        return ct, mask

    return {
        "one leg, 600 x 249 x 189 mm": one,
        "both legs, 600 x 249 x 380 mm": legs,
        "both legs in a field of view of 600 x 500 x 500 mm": placed([(0, 83, 40, True)], (400, 333, 333)),
        "hips to feet, 1200 x 400 x 400 mm": placed([(0, 50, 7, False), (400, 50, 7, True)], (800, 266, 266)),
        "whole body, 1800 x 400 x 500 mm": placed(
            [(0, 50, 40, False), (400, 50, 40, True), (800, 50, 40, False)], (1200, 266, 333)
        ),
    }


def main() -> None:
    """Print the table."""
    predictor: Any = SimpleNamespace(
        configuration_manager=SimpleNamespace(
            patch_size=[WINDOW] * 3, configuration={"normalization_schemes": ["NoNormalization"]}
        ),
        tile_step_size=STEP,
        list_of_parameters=[{}],
        label_manager=SimpleNamespace(has_regions=False),
        allowed_mirroring_axes=None,
        use_mirroring=False,
    )
    rows = []
    for name, (ct, mask) in volumes().items():
        data = torch.from_numpy(np.stack([ct.astype(np.float32), mask.astype(np.float32)]))
        counts, start = [], time.process_time()
        for crop in (None, MaskAsCropModel(mask)):
            found = logits_of_folds(
                predictor, MaskAsNetwork(), data, spacing_mm=(SPACING_MM,) * 3, femur=(1,), crop=crop
            )
            whole = found.filled().values[0]
            if not np.array_equal((whole[1] > whole[0]).numpy(), mask):
                message = f"{name}: the mask is not that of all windows"
                raise AssertionError(message)
            assert found.search is not None
            counts.append(found.search)
        own, with_crop = counts
        used = with_crop.windows if "totalsegmentator-6mm" in with_crop.localisers else "not used"
        rows.append([name, own.windows_of_grid, own.windows, used])
        print(f"{name}: {time.process_time() - start:.0f} s of the processor", flush=True)
    header = [
        "CT",
        "windows of the grid (`--exhaustive`)",
        "by default",
        "with the 6 mm model, besides its own",
    ]
    print(table(header, rows))


if __name__ == "__main__":
    main()
