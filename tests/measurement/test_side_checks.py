"""Sides by shape, against header, label, id and the other femur.

The anatomy of a right femur of a standing patient in LPS: up is +z, medial is to the patient's left (+x), posterior +y.
Every other case follows from it by a mirror image or a half turn, worked out by hand.
"""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.femur_measurements import FemurMeasurements
from nnunet_femur.measurement.landmarks import Anatomy, Sphere
from nnunet_femur.measurement.side_checks import check_sides, side_by_shape

NOTHING = np.ones(3)
MIRRORED_X, MIRRORED_Y, MIRRORED_Z = (np.where(np.arange(3) == axis, -1.0, 1.0) for axis in range(3))
HALF_TURN_X, HALF_TURN_Y, HALF_TURN_Z = -MIRRORED_X, -MIRRORED_Y, -MIRRORED_Z


def femur(side: str = "right", header: np.ndarray = NOTHING, *, stated: str = "", source: str = "", **changes):
    """A femur whose header was changed by flipping the axes that are -1 in `header`."""
    outwards = -1.0 if side == "right" else 1.0
    directions = {"up": (0, 0, 1), "medial": (-outwards, 0, 0), "posterior": (0, 1, 0)}
    head = Sphere(header * (outwards * 90.0, 0.0, 400.0), 24.0)
    anatomy = Anatomy(
        Surface(np.zeros((0, 3)), np.zeros((0, 3), int)),
        **{"head": head, **{name: header * direction for name, direction in directions.items()}, **changes},
    )
    shape = side_by_shape(anatomy)
    return FemurMeasurements("R101", stated or shape, source or "shape", {}, {}, anatomy=anatomy)


def codes(*femurs: FemurMeasurements, expected: str = "unknown") -> list[str]:
    return sorted(found.code for found in check_sides(femurs, "R101.nrrd", expected=expected))


class TestSideByShape:
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_is_independent_of_rotation(self, side: str) -> None:
        from scipy.spatial.transform import Rotation

        assert side_by_shape(femur(side).anatomy) == side
        for turn in Rotation.random(20, random_state=1).as_matrix():
            turned = {name: turn @ getattr(femur(side).anatomy, name) for name in ("up", "medial", "posterior")}
            assert side_by_shape(femur(side, **turned).anatomy) == side

    @pytest.mark.parametrize("mirror", [MIRRORED_X, MIRRORED_Y, MIRRORED_Z])
    def test_is_the_other_one_in_a_mirror(self, mirror: np.ndarray) -> None:
        assert side_by_shape(femur("right", mirror).anatomy) == "left"

    @pytest.mark.parametrize("missing", ["up", "medial", "posterior"])
    def test_is_unknown_for_a_part_of_a_femur(self, missing: str) -> None:
        assert side_by_shape(femur(**{missing: None}).anatomy) == "unknown"
        assert side_by_shape(None) == "unknown"


class TestOneFemur:
    def test_in_order(self) -> None:
        assert codes(femur()) == codes(femur(), expected="right") == []
        assert codes(femur("left"), expected="left") == codes(femur("left"), expected="both") == []

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            (MIRRORED_X, ["side-contradiction"]),
            (MIRRORED_Y, ["back-to-front", "side-contradiction"]),
            (MIRRORED_Z, ["side-contradiction", "upside-down"]),
            (HALF_TURN_X, ["back-to-front", "upside-down"]),
            (HALF_TURN_Y, ["upside-down"]),
            (HALF_TURN_Z, ["back-to-front"]),
            (-NOTHING, ["back-to-front", "side-contradiction", "upside-down"]),
        ],
    )
    def test_with_a_wrong_header(self, header: np.ndarray, found: list[str]) -> None:
        assert codes(femur("right", header), expected="right") == found

    def test_of_another_side_than_a_label_or_an_id(self) -> None:
        assert codes(femur("right", stated="left", source="label")) == ["side-contradiction"]
        assert codes(femur("right", stated="right", source="network")) == []
        (found,) = check_sides([femur("right")], "L1.nrrd", expected="left", expected_by="table")
        assert (found.code, found.file) == ("side-contradiction", "L1.nrrd")
        assert {"right", "left", "table"} <= set(found.problem.replace(":", " ").replace(".", " ").split())

    def test_without_a_distal_end(self) -> None:
        part = femur(posterior=None, header=MIRRORED_Z)
        assert codes(part, expected="left") == ["upside-down"]
        assert codes(femur(up=None, medial=None, posterior=None, head=None), expected="left") == []

    @pytest.mark.parametrize("degrees", [60, 100])
    def test_of_a_bent_leg(self, degrees: int) -> None:
        bent = {"up": np.array([0, -np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))])}
        assert codes(femur(**bent)) == []


class TestTwoFemurs:
    def test_in_order(self) -> None:
        assert codes(femur("left"), femur("right")) == []
        assert codes(femur("left"), femur("right"), expected="left") == [], "an id names one of two legs"

    def test_of_one_side(self) -> None:
        assert codes(femur("left"), femur("left")) == ["same-side"]
        assert codes(femur("left"), femur("left"), expected="right") == ["same-side", "side-contradiction"]

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            (MIRRORED_X, []),
            (MIRRORED_Y, ["back-to-front", "sides-exchanged"]),
            (MIRRORED_Z, ["sides-exchanged", "upside-down"]),
            (HALF_TURN_Y, ["sides-exchanged", "upside-down"]),
            (HALF_TURN_Z, ["back-to-front", "sides-exchanged"]),
        ],
    )
    def test_with_a_wrong_header(self, header: np.ndarray, found: list[str]) -> None:
        assert codes(femur("left", header), femur("right", header)) == found

    def test_one_of_which_is_a_part(self) -> None:
        part = femur("left", posterior=None)
        assert codes(femur("right"), part, expected="left") == []
