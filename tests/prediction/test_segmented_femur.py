"""A femur's measures, and the files that it is saved as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur import score
from nnunet_femur.imaging import read_femur, read_mask_header
from nnunet_femur.imaging.geometry import Geometry, VolumeError, image_of
from nnunet_femur.prediction import Femur
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

GEOMETRY = Geometry((20, 20, 20), (10.0, 10.0, 10.0), (3.0, -4.0, 5.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
"""Voxels of 1 ml."""

ONE = (slice(2, 18), slice(5, 9), slice(5, 9))
OTHER = (slice(2, 18), slice(5, 9), slice(12, 16))
REST = (slice(2, 6), slice(14, 18), slice(5, 9))


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

    @pytest.mark.parametrize("kind", [np.uint8, np.int16])
    @pytest.mark.parametrize("sides", [False, True])
    def test_a_mask_of_another_value(self, kind: type, sides: bool, tmp_path: Path) -> None:
        mask = sitk.GetImageFromArray(3 * np.pad(np.ones((4, 4, 4), kind), 2))
        (path,) = Femur.from_mask(mask, case="L1", sides=sides).save(tmp_path / "femur.seg.nrrd")
        written = sitk.ReadImage(str(path))
        assert written.GetPixelID() == sitk.sitkUInt8
        assert written.GetMetaData("Segment0_LabelValue") == "1"
        assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(mask) // 3)

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


class TestSaveSides:
    """Two blocks that a network told apart, and a third of unknown side."""

    @pytest.fixture(scope="class")
    def femur(self) -> Femur:
        return Femur.from_mask(
            _image(ONE, OTHER, REST), case="L001", left=_image(OTHER), right=_image(ONE), sides=True, warnings=["a"]
        )

    def test_are_known(self, femur: Femur) -> None:
        assert (femur.side, femur.side_source, femur.pieces) == ("both", "network", 3)
        assert [each.side for each in femur.measurements] == ["left", "right"]
        assert len([text for text in femur.warnings if "unknown" in text]) == 1

    @pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.mha", "a.seg.nrrd"])
    def test_as_values(self, name: str, femur: Femur, tmp_path: Path) -> None:
        femur.save(tmp_path / name)
        image = sitk.ReadImage(str(tmp_path / name))
        expected = np.zeros((20, 20, 20))
        for part, value in ((OTHER, 1), (ONE, 2), (REST, 3)):
            expected[part] = value
        assert np.array_equal(sitk.GetArrayFromImage(image), expected)
        assert np.array_equal(sitk.GetArrayFromImage(femur.labels), expected)
        assert np.array_equal(sitk.GetArrayFromImage(femur.mask), expected > 0)
        assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-5) == []

    def test_as_named_segments(self, femur: Femur, tmp_path: Path) -> None:
        femur.save(tmp_path / "a.seg.nrrd")
        header = read_mask_header(tmp_path / "a.seg.nrrd")
        assert [(each.name, each.value, each.layer) for each in header.segments] == [
            ("femur_left", 1, 0),
            ("femur_right", 2, 0),
            ("femur", 3, 0),
        ]
        image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
        assert [image.GetMetaData(f"Segment{index}_ID") for index in range(3)] == [
            "Segment_1",
            "Segment_2",
            "Segment_3",
        ]
        assert image.GetMetaData("Segment1_Extent") == "5 8 5 8 2 17"
        assert len({image.GetMetaData(f"Segment{index}_Color") for index in (0, 1)}) == 2

    def test_that_every_command_reads_as_one_femur(self, femur: Femur, tmp_path: Path) -> None:
        femur.save(tmp_path / "a.seg.nrrd")
        whole = sitk.GetArrayFromImage(femur.mask) > 0
        assert np.array_equal(read_femur(tmp_path / "a.seg.nrrd").voxels_zyx, whole)
        left = read_femur(tmp_path / "a.seg.nrrd", segments=["femur_left"]).voxels_zyx
        assert np.array_equal(left, sitk.GetArrayFromImage(femur.left) > 0)
        femur.save(tmp_path / "a.nrrd")
        with pytest.raises(VolumeError) as error:
            read_femur(tmp_path / "a.nrrd")
        assert error.value.code == "mask-labels"
        assert np.array_equal(read_femur(tmp_path / "a.nrrd", labels=[1, 2, 3]).voxels_zyx, whole)
        assert score(tmp_path / "a.seg.nrrd", tmp_path / "a.nrrd", labels=(1, 2, 3))["dice"] == 1

    def test_as_a_surface_each(self, femur: Femur, tmp_path: Path) -> None:
        names = [path.name for path in femur.save(tmp_path, stl=True)]
        assert names == ["L001.nrrd", "L001_left.stl", "L001_right.stl", "L001_unknown.stl"]
        x_mm = {name: _points_mm(tmp_path / name)[:, 0] for name in names[1:]}
        # x of the voxels' borders: 3 mm + 10 mm x (index -+ 0.5), and half a voxel of smoothing.
        assert x_mm["L001_left.stl"].min() >= 3 + 115 - 5
        assert x_mm["L001_right.stl"].max() <= 3 + 85 + 5
        only_right = Femur.from_mask(_image(ONE), case="L001", right=_image(ONE), sides=True)
        assert [path.name for path in only_right.save(tmp_path, stl=True)] == ["L001.nrrd", "L001_right.stl"]
        assert not (tmp_path / "L001_left.stl").exists(), "of the run before"

    def test_of_an_empty_mask(self, tmp_path: Path) -> None:
        empty = Femur.from_mask(_image(), case="L001", sides=True)
        assert (empty.side, empty.side_source, empty.measurements) == ("unknown", "", ())
        assert len(empty.save(tmp_path, formats=("nrrd", "seg.nrrd"), stl=True)) == 2
        assert not read_femur(tmp_path / "L001.seg.nrrd").voxels_zyx.any()


def _points_mm(stl: Path) -> np.ndarray:
    """Corners of the triangles of a binary STL: 80 bytes of header, a count, and 50 bytes for each triangle."""
    content = stl.read_bytes()[84:]
    triangles = np.frombuffer(content, np.dtype([("floats", "<f4", 12), ("rest", "<u2")]))
    return triangles["floats"][:, 3:].reshape(-1, 3)


class TestSurfacesForModels:
    def test_have_the_stated_edge_length(self, tmp_path: Path) -> None:
        femur = Femur.from_mask(_image(ONE), case="case")
        mesh = femur.surface(edge_mm=8.0)
        corners = mesh.points_mm[mesh.triangles]
        assert np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1).mean() == pytest.approx(8, rel=0.2)
        femur.save(tmp_path, stl=True, edge_mm=8.0)
        assert (tmp_path / "case.stl").stat().st_size == 84 + 50 * len(mesh.triangles)
        femur.save(tmp_path / "one.stl", edge_mm=8.0)
        assert (tmp_path / "one.stl").read_bytes() == (tmp_path / "case.stl").read_bytes()

    def test_of_an_empty_mask(self, tmp_path: Path) -> None:
        femur = Femur.from_mask(_image(), case="case")
        assert [path.suffix for path in femur.save(tmp_path, stl=True, edge_mm=8.0)] == [".nrrd"]
        with refused("no-femur"):
            femur.surface(edge_mm=8.0)
