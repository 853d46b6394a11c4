"""A femur's measures, and the files that it is saved as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.prediction import Femur
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

GEOMETRY = Geometry((20, 20, 20), (10.0, 10.0, 10.0), (3.0, -4.0, 5.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
"""Voxels of 1 ml."""

ONE = (slice(2, 18), slice(5, 9), slice(5, 9))
OTHER = (slice(2, 18), slice(5, 9), slice(12, 16))


def _image(*parts: tuple[slice, slice, slice]) -> sitk.Image:
    mask = np.zeros((20, 20, 20), np.uint8)
    for part in parts:
        mask[part] = 1
    return image_of(mask, GEOMETRY)


class TestMeasures:
    def test_of_a_whole_femur(self) -> None:
        femur = Femur.from_mask(_image(ONE), case="case", warnings=["a window"])
        assert (femur.volume_ml, femur.pieces, femur.warnings) == (256.0, 1, ("a window",))
        assert (femur.left, femur.right, femur.uncertainty, femur.disagreement) == (None,) * 4
        assert femur.surface().volume_ml == pytest.approx(256, rel=0.1)

    def test_of_two_femurs_each_side_is_checked_alone(self) -> None:
        both = _image(ONE, OTHER)
        above = (slice(10, 19), slice(5, 9), slice(5, 9))
        below = (slice(1, 9), slice(5, 9), slice(5, 9))
        assert len(Femur.from_mask(_image(above, below)).warnings) == 1, "two pieces of unknown side"
        femur = Femur.from_mask(both, left=_image(ONE), right=_image(OTHER))
        assert (femur.volume_ml, femur.pieces, femur.warnings) == (512.0, 2, ())
        small = (slice(5, 8), slice(5, 8), slice(12, 15))
        femur = Femur.from_mask(_image(ONE, small), left=_image(ONE), right=_image(small))
        assert [text.split(":")[0] for text in femur.warnings] == ["right"]

    def test_of_one_femur_with_an_empty_other_side(self) -> None:
        assert Femur.from_mask(_image(ONE), left=_image(ONE), right=_image()).warnings == ()
        assert Femur.from_mask(_image(), left=_image(), right=_image()).pieces == 0

    def test_are_in_its_text(self) -> None:
        assert repr(Femur.from_mask(_image(ONE), case="L001")) == "Femur('L001', 256.0 ml, pieces=1, warnings=())"
        shown = Femur.from_mask(_image(ONE), case="<L001>", disagreement=0.25)._repr_html_()
        assert "&lt;L001&gt;: 256.0 ml, 1 piece(s), disagreement 0.250" in shown
        assert re.search(r"data:image/png;base64,[\w+/=]{100,}", shown)


class TestSave:
    @pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.nii", "a.mha", "new/a.seg.nrrd"])
    def test_one_mask(self, name: str, tmp_path: Path) -> None:
        femur = Femur.from_mask(_image(ONE))
        assert femur.save(str(tmp_path / name)) == (tmp_path / name,)
        image = sitk.ReadImage(str(tmp_path / name))
        assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(femur.mask))
        assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-5) == []
        assert ("Segment0_Name" in image.GetMetaDataKeys()) == name.endswith(".seg.nrrd")
        assert femur.mask.GetMetaDataKeys() == (), "the image itself is not changed"

    def test_one_surface(self, tmp_path: Path) -> None:
        Femur.from_mask(_image(ONE)).save(tmp_path / "a.stl")
        assert (tmp_path / "a.stl").stat().st_size > 84
        with refused("no-femur", "b.stl"):
            Femur.from_mask(_image()).save(tmp_path / "b.stl")
        assert not (tmp_path / "b.stl").exists()

    def test_a_case_in_a_folder(self, tmp_path: Path) -> None:
        deviation = image_of(np.full((20, 20, 20), 0.12345, np.float32), GEOMETRY)
        femur = Femur.from_mask(_image(ONE), case="L001", uncertainty=deviation)
        names = [path.name for path in femur.save(tmp_path / "new.nrrd.d", formats=["nrrd", "nii.gz"], stl=True)]
        assert names == ["L001.nrrd", "L001.nii.gz", "L001_uncertainty.nrrd", "L001.stl"]
        written = sitk.ReadImage(str(tmp_path / "new.nrrd.d" / names[2]))
        assert written.GetPixel(0, 0, 0) == pytest.approx(0.123, abs=1e-6)

    def test_problems(self, tmp_path: Path) -> None:
        femur = Femur.from_mask(_image(ONE))
        with refused("invalid-option", "jpg"):
            femur.save(tmp_path, formats=["jpg"])
        (tmp_path / "file").write_text("")
        with refused("cannot-write", tmp_path / "file"):
            femur.save(tmp_path / "file")
