"""Directions of view: anatomical, whatever the position of the leg and the header."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Anatomy
from nnunet_femur.measurement.output.femur_views import anatomical_views
from nnunet_femur.testing.voxelising import rotation_xyz
from tests.measurement.known_femur import HEAD, KNEE, MIRROR, X, Y, Z, anatomy, surface

UP = (HEAD - KNEE) / np.linalg.norm(HEAD - KNEE)


def _edges(of: Anatomy) -> list[tuple[str, str, str]]:
    return [(each.name, each.left, each.right) for each in anatomical_views(of)]


class TestWholeFemur:
    def test_views_of_a_right_femur(self) -> None:
        """As one looks at the patient: right side at the left, so medial of a right femur at the right."""
        assert _edges(anatomy()) == [
            ("front", "lateral", "medial"),
            ("lateral side", "posterior", "anterior"),
            ("above", "medial", "lateral"),
        ]

    def test_views_of_a_left_femur_are_mirrored(self) -> None:
        assert _edges(anatomy(MIRROR)) == [
            ("front", "medial", "lateral"),
            ("lateral side", "anterior", "posterior"),
            ("above", "lateral", "medial"),
        ]

    @pytest.mark.parametrize("matrix", [np.eye(3), MIRROR], ids=["right", "left"])
    def test_words_are_where_the_bone_is(self, matrix: np.ndarray) -> None:
        of = anatomy(matrix)
        assert of.head is not None
        assert of.distal is not None
        places = {
            "medial": of.head.center_mm,
            "lateral": of.distal.distal_lateral_mm,
            "posterior": of.distal.posterior_medial_mm,
            "anterior": of.head.center_mm,
        }
        for each in anatomical_views(of):
            right, left = (each.view.project(places[word])[0] for word in (each.right, each.left))
            assert right > left

    @pytest.mark.parametrize("matrix", [np.eye(3), MIRROR, rotation_xyz(10, 170, -35), -rotation_xyz(3, 90, 0)])
    def test_turn_with_the_bone(self, matrix: np.ndarray) -> None:
        """The front view shows the mechanical axis upright and the posterior condylar line across it."""
        of = anatomy(matrix)
        assert of.mechanical is not None
        assert of.distal is not None
        front, side, above = (each.view for each in anatomical_views(of))
        condyles = of.distal.posterior_medial_mm - of.distal.posterior_lateral_mm
        for view in (front, side, above):
            frame = np.array([view.right, view.up, view.towards])
            np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-9)
            # A view is never a mirror image.
            assert np.linalg.det(frame) == pytest.approx(1)
        np.testing.assert_allclose(front.up, of.mechanical.direction, atol=1e-9)
        assert front.towards @ condyles == pytest.approx(0, abs=1e-9)
        assert side.up @ front.up == pytest.approx(1)
        np.testing.assert_allclose(above.towards, front.up, atol=1e-9)
        # From above, the front is at the upper edge.
        assert above.up @ front.towards == pytest.approx(1)
        assert (matrix @ Y) @ front.towards < -0.9
        assert (matrix @ X) @ side.towards < -0.9

    def test_a_wrong_label_does_not_exchange_front_and_back(self) -> None:
        """In a mirrored header, label and shape contradict each other; only the shape shows where the front is."""
        of = replace(anatomy(), side="left")
        assert anatomical_views(of)[0].view.towards @ Y < -0.9


class TestPartOfFemur:
    @pytest.mark.parametrize("matrix", [np.eye(3), MIRROR], ids=["right", "left"])
    def test_the_side_determines_the_front_without_condyles(self, matrix: np.ndarray) -> None:
        front = anatomical_views(anatomy(matrix, distal=None, posterior=None))[0].view
        np.testing.assert_allclose([front.up, front.towards], [Z, -Y], atol=1e-9)

    def test_the_header_determines_it_without_side(self) -> None:
        for matrix in (np.eye(3), MIRROR):
            of = anatomy(matrix, side="unknown", distal=None, posterior=None)
            np.testing.assert_allclose(anatomical_views(of)[0].view.towards, -Y, atol=1e-9)

    def test_without_any_landmark(self) -> None:
        views = anatomical_views(Anatomy(surface()))
        np.testing.assert_allclose([each.view.towards for each in views], [-Y, X, Z], atol=1e-9)
        assert [(each.left, each.right) for each in views] == [
            ("right", "left"),
            ("anterior", "posterior"),
            ("left", "right"),
        ]

    def test_a_bone_across_the_patient(self) -> None:
        for direction in (X, Y, -X):
            frame = [each.view.towards for each in anatomical_views(Anatomy(surface(), up=direction))]
            assert np.isfinite(frame).all()
            np.testing.assert_allclose(np.linalg.norm(frame, axis=1), 1)
