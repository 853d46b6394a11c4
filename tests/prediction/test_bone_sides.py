"""Sides of the femurs in masks of phantoms, whose construction gives the expected side of every voxel."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.landmarks import Anatomy, Sphere
from nnunet_femur.prediction import bone_sides
from nnunet_femur.prediction.bone_sides import given_sides, side_of, tell_sides
from nnunet_femur.prediction.plausibility import check_femurs
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from pathlib import Path

GRID = (2.0, 2.0, 2.0)
SHAPE = (240, 96, 96)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
HALF_TURN_ABOUT_Y = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@cache
def leg(side: str) -> np.ndarray:
    """A whole femur, z, y, x; x increases to the patient's left."""
    mask = sitk.GetArrayFromImage(make_phantom(3, side=side, size_zyx=SHAPE, spacing_mm_zyx=GRID).mask)
    mask.flags.writeable = False
    return mask


def proximal(side: str) -> np.ndarray:
    """The proximal half of a femur, whose shape does not determine the side."""
    mask = leg(side).copy()
    mask[: mask.shape[0] // 2] = 0
    return mask


def legs(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """A right and a left leg in one volume, the left one at the patient's left."""
    return np.concatenate([right, left], axis=2)


def grid(mask: np.ndarray, direction: tuple[float, ...] = IDENTITY) -> Geometry:
    return Geometry(mask.shape[::-1], GRID[::-1], (10.0, -20.0, 30.0), direction)


def told(mask: np.ndarray, case: str = "case", network: np.ndarray | None = None, **geometry) -> tuple:
    """Values of the voxels, origins of the sides, and codes of the findings."""
    found = tell_sides(mask, grid(mask, **geometry), case=case, network_zyx=network)
    return found.values_zyx, [each.side_source for each in found.femurs], [each.code for each in found.findings]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring that takes no time: the side of a whole leg by its voxels, and up alone of a part."""
    monkeypatch.setattr(bone_sides, "measure_bone", _by_voxels)


def _by_voxels(mask: np.ndarray, geometry: Geometry, *, case: str) -> FemurMeasurements:
    box = box_of(mask)
    right, left = (leg(side)[box_of(leg(side))] for side in ("right", "left"))
    up = geometry.direction[8] * np.array([0.0, 0.0, 1.0])
    head = Sphere(geometry.steps_mm @ [part.stop for part in box[::-1]], 24.0)
    whole = 0.9 < np.count_nonzero(mask) / np.count_nonzero(left) < 1.1
    side = "unknown"
    if whole:
        side = "right" if np.array_equal(mask[box].sum((0, 1)), right.sum((0, 1))) else "left"
    medial = np.array([geometry.direction[0] * (1.0 if side == "right" else -1.0), 0.0, 0.0])
    posterior = np.array([0.0, 1.0, 0.0]) if whole else None
    surface = Surface(np.zeros((1, 3)), np.zeros((0, 3), int))
    anatomy = Anatomy(surface, side, up=up, head=head, medial=medial, posterior=posterior)
    return FemurMeasurements(case, side, "shape" if whole else "", {}, {}, anatomy=anatomy)


class TestByShape:
    @pytest.mark.parametrize(("side", "value"), [("left", 1), ("right", 2)])
    def test_of_one_femur(self, side: str, value: int) -> None:
        values, sources, codes = told(leg(side), case=f"{side[0].upper()}101")
        assert np.array_equal(values, value * leg(side))
        assert (sources, codes) == (["shape"], [])

    def test_of_a_mirrored_femur_is_the_other_one_and_contradicts_the_id(self) -> None:
        values, _, codes = told(leg("right")[:, :, ::-1], case="P7_right")
        assert set(np.unique(values)) == {0, 1}
        assert codes == ["side-contradiction"]

    def test_does_not_depend_on_the_order_of_storage(self) -> None:
        stored = grid(leg("left"))
        order = AxisOrder.between(stored, RAS)
        turned = order.of_array(leg("left"))
        found = tell_sides(turned, order.of_geometry(stored), case="case")
        assert np.array_equal(found.values_zyx, turned)

    def test_of_an_upside_down_femur(self) -> None:
        values, sources, codes = told(leg("right"), direction=HALF_TURN_ABOUT_Y)
        assert np.array_equal(values, 2 * leg("right"))
        assert (sources, codes) == (["shape"], ["upside-down"])

    def test_of_a_broken_femur(self) -> None:
        mask = leg("right").copy()
        mask[SHAPE[0] // 2 : SHAPE[0] // 2 + 3] = 0
        values, sources, _ = told(mask)
        assert np.array_equal(values, 2 * mask)
        assert sources == ["shape"]

    def test_of_two_femurs_with_fragments(self) -> None:
        mask = legs(leg("right"), leg("left"))
        expected = legs(2 * leg("right"), leg("left"))
        for x in (1, mask.shape[2] - 2):
            mask[120, 48, x] = 1
            expected[120, 48, x] = 2 if x == 1 else 1
        values, sources, codes = told(mask, case="L1")
        assert np.array_equal(values, expected)
        assert (sources, codes) == (["shape", "shape"], [])

    def test_of_two_femurs_of_one_side_is_unknown(self) -> None:
        mask = legs(leg("left"), leg("left"))
        values, sources, codes = told(mask)
        assert np.array_equal(values, 3 * mask)
        assert (sources, codes) == (["", ""], ["same-side"])

    def test_an_empty_mask_has_no_femurs(self) -> None:
        found = tell_sides(np.zeros((4, 5, 6), np.uint8), grid(np.zeros((4, 5, 6))), case="L1")
        assert (found.values_zyx.any(), found.femurs, found.findings, found.unknown) == (False, (), (), False)
        assert side_of(found.femurs) == "unknown"


@pytest.mark.usefixtures("quick")
class TestOfParts:
    def test_the_other_femur_decides(self) -> None:
        mask = legs(leg("right"), proximal("left"))
        values, sources, _ = told(mask)
        assert np.array_equal(values, legs(2 * leg("right"), proximal("left")))
        assert sources == ["shape", "other-bone"]

    def test_the_position_of_two_decides(self) -> None:
        values, sources, _ = told(legs(proximal("right"), proximal("left")))
        assert np.array_equal(values, legs(2 * proximal("right"), proximal("left")))
        assert sources == ["position", "position"]

    def test_the_position_is_not_used_in_a_volume_that_is_upside_down(self) -> None:
        mask = legs(proximal("right"), proximal("left"))
        values, sources, codes = told(mask, direction=HALF_TURN_ABOUT_Y)
        assert np.array_equal(values, 3 * mask)
        assert (sources, codes) == (["", ""], ["upside-down"])

    @pytest.mark.parametrize(("case", "value", "source"), [("R101", 2, "id"), ("case", 3, ""), ("both_1", 3, "")])
    def test_the_id_decides_or_nothing(self, case: str, value: int, source: str) -> None:
        found = tell_sides(proximal("right"), grid(proximal("right")), case=case)
        assert np.array_equal(found.values_zyx, value * proximal("right"))
        assert [each.side_source for each in found.femurs] == [source]
        assert found.unknown == (value == 3)
        assert len(found.doubts()) == 1

    def test_two_parts_of_one_femur_are_not_beside_each_other(self) -> None:
        mask = proximal("right").copy()
        mask[mask.shape[0] * 3 // 4] = 0
        values, sources, _ = told(mask)
        assert np.array_equal(values, 3 * mask)
        assert set(sources) == {""}


@pytest.mark.usefixtures("quick")
class TestByNetwork:
    def test_decides_where_the_shape_cannot(self) -> None:
        mask = legs(proximal("right"), proximal("left"))
        # Against the position of both.
        network = legs(proximal("right"), -proximal("left").astype(np.int8)).astype(np.int8)
        values, sources, _ = told(mask, network=network)
        assert np.array_equal(values, legs(proximal("right"), 2 * proximal("left")))
        assert sources == ["network", "network"]

    def test_is_made_clean_in_each_femur(self) -> None:
        network = leg("left").astype(np.int8)
        network[:35] *= -1
        assert 0.05 < np.mean(network[leg("left") > 0] < 0) < 0.2
        values, sources, _ = told(leg("left"), network=network)
        assert np.array_equal(values, leg("left"))
        assert sources == ["network"]

    def test_that_prefers_neither_side_leaves_the_shape_to_decide(self) -> None:
        undecided = leg("left") * np.where(np.arange(SHAPE[0]) % 2, 1, -1)[:, None, None]
        for network in (undecided.astype(np.int8), np.zeros(leg("left").shape, np.int8)):
            values, sources, _ = told(leg("left"), network=network)
            assert np.array_equal(values, leg("left"))
            assert sources == ["shape"]

    def test_that_contradicts_the_shape_is_reported(self) -> None:
        values, sources, codes = told(leg("left"), network=-leg("left").astype(np.int8))
        assert np.array_equal(values, 2 * leg("left"))
        assert (sources, codes) == (["network"], ["side-contradiction"])

    def test_divides_two_femurs_in_one_piece(self) -> None:
        mask = legs(leg("right"), leg("left"))
        mask[120, 45:50, 30:160] = 1
        middle = mask.shape[2] // 2
        network = mask * np.where(np.arange(mask.shape[2]) < middle, -1, 1)
        values, sources, _ = told(mask, network=network.astype(np.int8))
        assert set(np.unique(values[:, :, :middle])) == {0, 2}
        assert set(np.unique(values[:, :, middle:])) == {0, 1}
        assert np.array_equal(values > 0, mask > 0)
        assert sources == ["network", "network"]

    def test_given_as_two_masks(self) -> None:
        right, left = leg("right"), leg("left")
        nothing = np.zeros_like(right)
        mask = legs(right, left)
        sides = {"left": legs(nothing, left), "right": legs(right, nothing)}
        found = given_sides(mask, sides, grid(mask), case="case")
        assert np.array_equal(found.values_zyx, legs(2 * right, left))
        assert {each.side: each.side_source for each in found.femurs} == {"left": "network", "right": "network"}
        assert side_of(found.femurs) == "both"
        assert found.findings == ()
        exchanged = given_sides(mask, dict(zip(sides, reversed(sides.values()), strict=True)), grid(mask), case="case")
        assert [each.code for each in exchanged.findings] == ["side-contradiction", "side-contradiction"]


def test_of_real_femurs_that_are_cut(shared: Path) -> None:
    """54 mm of both femurs, in which the position alone determines the sides; and of one, in which nothing does."""
    image = sitk.ReadImage(str(shared / "ct" / "hips_femurs_by_totalsegmentator.nrrd"))
    mask, geometry = sitk.GetArrayFromImage(image), Geometry.of(image)
    found = tell_sides(mask, geometry, case="hips")
    assert [each.side_source for each in found.femurs] == ["position", "position"]
    x_mm = [(np.argwhere(found.values_zyx == value)[:, ::-1] @ geometry.steps_mm.T)[:, 0].mean() for value in (1, 2)]
    assert x_mm[0] > x_mm[1] + 100
    one = (found.values_zyx == 2).astype(np.uint8)
    assert tell_sides(one, geometry, case="hips").unknown


class TestAnUnexpectedError:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def measure_mask(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("nnunet_femur.measurement.measuring.measure_mask", measure_mask)

    @pytest.mark.usefixtures("failing")
    def test_of_a_measurement_is_a_finding(self) -> None:
        values, sources, codes = told(leg("left"), case="L3")
        assert np.array_equal(values, leg("left"))
        assert (sources, codes) == (["id"], ["not-measured"])

    @pytest.mark.usefixtures("failing")
    def test_of_two_measurements_leaves_the_position(self) -> None:
        values, sources, codes = told(legs(leg("right"), leg("left")))
        assert np.array_equal(values, legs(leg("right") * 2, leg("left")))
        assert (sources, codes) == (["position", "position"], ["not-measured", "not-measured"])

    @pytest.mark.usefixtures("failing")
    def test_keeps_the_sides_of_a_network(self) -> None:
        found = given_sides(leg("left"), {"left": leg("left")}, grid(leg("left")), case="case")
        assert np.array_equal(found.values_zyx, leg("left"))
        assert [(each.side, each.side_source) for each in found.femurs] == [("left", "network")]
        assert [each.code for each in found.findings] == ["not-measured"]

    def test_elsewhere_leaves_the_side_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bone_sides, "_bones", lambda *_: 1 / 0)
        values, sources, codes = told(leg("left"))
        assert np.array_equal(values, 3 * leg("left"))
        assert (sources, codes) == ([], ["not-measured"])


@pytest.mark.usefixtures("not_called")
def test_a_piece_that_is_far_too_large_is_not_measured() -> None:
    mask = np.ones((100, 300, 300), np.uint8)
    geometry = replace(grid(mask), spacing_mm_xyz=(1.0, 1.0, 1.0))
    found = tell_sides(mask, geometry, case="case")
    assert found.unknown
    assert {each.code for each in found.femurs[0].missing.values()} == {"not-femur"}
    _, findings = check_femurs(mask, geometry, found.femurs, case="case")
    assert [each.code for each in findings] == ["cut-by-view", "volume", "not-one-femur"]


@pytest.fixture
def not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnunet_femur.measurement.measuring.measure_mask", lambda *_, **__: pytest.fail("measured"))
