"""Femurs of a mask: labels and segments that state sides, and masks that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.mask_femurs import MaskFemurs, image_femurs, read_femurs
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

SPACING_XYZ = (1.0, 2.0, 4.0)


def _voxels(dtype: str = "uint8", *, left: float = 1, right: float = 2) -> np.ndarray:
    """Two boxes; z, y, x."""
    voxels = np.zeros((6, 5, 8), dtype)
    voxels[1:5, 1:4, 5:7] = left
    voxels[1:4, 1:4, 1:3] = right
    return voxels


def _image(voxels: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_XYZ)
    return image


def _written(path: Path, voxels: np.ndarray, **segments: str) -> Path:
    image = _image(voxels)
    for key, value in segments.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def _counts(femurs: MaskFemurs) -> tuple[bool, dict[int, int]]:
    labels, counts = np.unique(femurs.labels_zyx[femurs.labels_zyx > 0], return_counts=True)
    return femurs.has_sides, dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _codes(femurs: MaskFemurs) -> list[str]:
    return [found.code for found in femurs.findings]


class TestLabels:
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
    def test_1_and_2_are_left_and_right(self, tmp_path: Path, dtype: str) -> None:
        voxels = _voxels(dtype)
        femurs = read_femurs(_written(tmp_path / "P1.nrrd", voxels))
        assert _counts(femurs) == (True, {1: 24, 2: 18})
        assert femurs.geometry == Geometry.of(_image(voxels))
        assert _counts(image_femurs(_image(voxels), "P1")) == (True, {1: 24, 2: 18})

    @pytest.mark.parametrize(("label", "codes"), [(1, []), (2, ["mask-label-2"]), (7, ["mask-label-other"])])
    def test_a_single_label_states_no_side(self, tmp_path: Path, label: int, codes: list[str]) -> None:
        voxels = _voxels(left=label, right=0)
        femurs = read_femurs(_written(tmp_path / "P1.nrrd", voxels))
        assert _counts(femurs) == (False, {1: 24})
        assert _codes(femurs) == codes
        assert _counts(image_femurs(_image(voxels), "P1")) == (False, {1: 24})

    def test_of_an_option_state_no_side(self, tmp_path: Path) -> None:
        """The label 2 may be the acetabulum, as in some of the study's masks."""
        path = _written(tmp_path / "P1.nrrd", _voxels())
        assert _counts(read_femurs(path, labels=(1,))) == (False, {1: 24})
        assert _counts(read_femurs(path, labels=(1, 2))) == (False, {1: 42})
        assert _counts(image_femurs(_image(_voxels()), "P1", labels=(2,))) == (False, {1: 18})

    @pytest.mark.parametrize(("left", "right"), [(1, 3), (0.4, 0.9), (1, 1.5)])
    def test_others_are_refused(self, tmp_path: Path, left: float, right: float) -> None:
        voxels = _voxels("float32", left=left, right=right)
        with refused("mask-labels", "P1.nrrd"):
            read_femurs(_written(tmp_path / "P1.nrrd", voxels))
        with refused("mask-labels", "P1"):
            image_femurs(_image(voxels), "P1")

    def test_without_a_femur(self, tmp_path: Path) -> None:
        assert _counts(read_femurs(_written(tmp_path / "P1.nrrd", np.zeros((3, 3, 3), "uint8")))) == (False, {})
        assert _counts(image_femurs(_image(np.zeros((3, 3, 3), "float32")), "P1")) == (False, {})


def _segments(*names: str) -> dict[str, str]:
    fields = {}
    for number, name in enumerate(names):
        fields |= {f"Segment{number}_Name": name, f"Segment{number}_LabelValue": str(number + 1)}
        fields |= {f"Segment{number}_ID": f"s{number}", f"Segment{number}_Layer": "0"}
    return fields


class TestSegments:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("femur_left", "femur_right"), (True, {1: 24, 2: 18})),
            (("Right femur", "Left Femur"), (True, {1: 18, 2: 24})),
            (("Femur R", "Pelvis"), (True, {2: 24})),
            (("femur head left", "femur shaft left"), (True, {1: 42})),
            (("Femur head", "Femur shaft"), (False, {1: 42})),
            (("Femur left", "Femur"), (False, {1: 42})),
        ],
    )
    def test_state_their_sides(self, tmp_path: Path, names: tuple[str, ...], expected: tuple) -> None:
        femurs = read_femurs(_written(tmp_path / "P1.seg.nrrd", _voxels(), **_segments(*names)))
        assert _counts(femurs) == expected

    def test_of_an_option(self, tmp_path: Path) -> None:
        path = _written(tmp_path / "P1.seg.nrrd", _voxels(), **_segments("femur_left", "femur_right"))
        femurs = read_femurs(path, segments=("femur_right",))
        assert _counts(femurs) == (True, {2: 18})
        assert _codes(femurs) == ["segments-chosen"]

    def test_without_a_femur_are_refused(self, tmp_path: Path) -> None:
        path = _written(tmp_path / "P1.seg.nrrd", _voxels(), **_segments("pelvis left", "tibia right"))
        with refused("segment-missing", "P1.seg.nrrd"):
            read_femurs(path)


class TestImages:
    def test_of_another_kind_are_refused(self) -> None:
        for image in (sitk.Image(4, 4, sitk.sitkUInt8), sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3)):
            with refused("unsupported", "P1"):
                image_femurs(image, "P1")

    def test_with_nan_are_refused(self) -> None:
        voxels = _voxels("float32")
        voxels[0, 0, 0] = np.nan
        with refused("not-finite", "P1"):
            image_femurs(_image(voxels), "P1")


def test_a_missing_file(tmp_path: Path) -> None:
    with refused("not-found", "P1.nrrd"):
        read_femurs(tmp_path / "P1.nrrd")
