"""Parts of a femur with round landmarks: R = 20 mm, shaft 44 mm lateral of the head, 420 mm long, 80 mm wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.density.bone_parts import (
    CONDYLES,
    HEAD,
    LOWER_SHAFT,
    NECK,
    REST,
    TROCHANTER,
    UPPER_SHAFT,
    distal_width_mm,
    parts_of,
    shaft_levels,
)
from nnunet_femur.measurement.femur_measurements import Missing
from nnunet_femur.measurement.landmarks import Anatomy, DistalFemur, Line, Neck, Sphere

UNTURNED, ORIGIN = np.eye(3), np.zeros(3)
X, Y, Z = UNTURNED
SHAFT = np.array([-44.0, 0.0, 0.0])
CORNERS = np.array([[-44.0, 0, 20], [0, 0, 20], [-4.0, 5, -395], [-84.0, 5, -390], [-44, 0, -400], [-99.0, 0, -200]])

EXPECTED = {
    (0.0, 0.0, 0.0): HEAD,
    (18.0, 0.0, -5.0): HEAD,
    (-9.9, 0.0, 0.0): HEAD,
    (-10.1, 0.0, 0.0): NECK,
    (-29.9, 0.0, 0.0): NECK,
    (-30.1, 0.0, 0.0): TROCHANTER,
    (-20.0, 19.9, 0.0): NECK,
    (-20.0, 20.1, 0.0): TROCHANTER,
    (-44.0, 0.0, 19.0): TROCHANTER,
    (-44.0, 0.0, -55.9): TROCHANTER,
    (-44.0, 0.0, -56.1): UPPER_SHAFT,
    (-44.0, 0.0, -127.9): UPPER_SHAFT,
    (-44.0, 0.0, -128.1): LOWER_SHAFT,
    (-44.0, 0.0, -319.9): LOWER_SHAFT,
    (-44.0, 0.0, -320.1): CONDYLES,
    (-10.0, 0.0, -395.0): CONDYLES,
}
POINTS = np.array(list(EXPECTED))
LABELS = list(EXPECTED.values())


def _anatomy(turn: np.ndarray = UNTURNED, shift: np.ndarray = ORIGIN) -> Anatomy:
    def at(point: np.ndarray) -> np.ndarray:
        return turn @ point + shift

    contact = at(np.zeros(3))
    condyle = Sphere(contact, 20)
    return Anatomy(
        Surface(CORNERS @ turn.T + shift, np.empty((0, 3), np.int64)),
        up=turn @ Z,
        shaft=Line(at(SHAFT), turn @ Z),
        proximal_shaft=Line(at(SHAFT - 80 * Z), turn @ Z),
        head=Sphere(at(np.zeros(3)), 20.0),
        neck=Neck(at(-20 * X), np.empty((0, 3)), 800, 28, 36),
        distal=DistalFemur(*[contact] * 4, condyle, condyle, *[contact] * 6),
        medial=turn @ X,
    )


class TestParts:
    def test_of_each_point(self) -> None:
        parts = parts_of(POINTS, _anatomy(), {})
        assert parts.labels.tolist() == LABELS
        assert not parts.missing
        assert parts.of("shaft").tolist() == [label in (UPPER_SHAFT, LOWER_SHAFT) for label in LABELS]

    @pytest.mark.parametrize("mirrored", [False, True])
    def test_do_not_depend_on_the_position(self, *, mirrored: bool) -> None:
        turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
        turn = turn * (np.linalg.det(turn) * (-1 if mirrored else 1))
        shift = np.array([120.0, -30.0, 800.0])
        assert parts_of(POINTS @ turn.T + shift, _anatomy(turn, shift), {}).labels.tolist() == LABELS

    def test_of_a_femur_without_its_distal_end(self) -> None:
        reason = Missing("distal-end-missing", "cut.")
        parts = parts_of(POINTS, replace(_anatomy(), distal=None), {"knee_center_mm_lps": reason})
        assert parts.missing == {"shaft": reason, "condyles": reason}
        assert parts.labels.tolist() == [REST if each in (LOWER_SHAFT, CONDYLES) else each for each in LABELS]

    @pytest.mark.parametrize(
        ("changes", "kept"),
        [
            ({"proximal_shaft": None}, {"head", "neck"}),
            ({"neck": None}, set()),
            ({"head": None}, set()),
        ],
    )
    def test_need_their_landmarks(self, changes: dict[str, None], kept: set[str]) -> None:
        parts = parts_of(POINTS, replace(_anatomy(), **changes), {})
        assert set(parts.missing) == {"head", "neck", "trochanter", "upper_shaft", "shaft", "condyles"} - kept

    def test_distal_width_without_a_medial_direction(self) -> None:
        anatomy = replace(_anatomy(), medial=None)
        levels = shaft_levels(anatomy)
        assert levels is not None
        # The distal points are nearly on a line, so the widest direction is theirs.
        assert distal_width_mm(anatomy, levels) == pytest.approx(80, abs=1)


class TestLevels:
    def test_count_from_the_top(self) -> None:
        levels = shaft_levels(_anatomy())
        assert levels is not None
        assert levels.length_mm == pytest.approx(420)
        assert levels.depths_mm(np.array([[5.0, 6.0, 20.0], [0.0, 0.0, -190.0]])) == pytest.approx([0, 210])

    @pytest.mark.parametrize("lost", ["distal", "head", "shaft"])
    def test_need_a_whole_femur(self, lost: str) -> None:
        assert shaft_levels(replace(_anatomy(), **{lost: None})) is None
