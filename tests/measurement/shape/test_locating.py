"""Landmarks of a whole femur in any pose: side, directions, and steps that find less."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnunet_femur.measurement.shape.locating import locate_distal_end, locate_head, locate_neck
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.testing.voxelising import moved
from tests.measurement.solids import FEMUR, femur, rod

MIRROR = np.diag([-1.0, 1.0, 1.0])


def _located(mesh):
    return locate_distal_end(mesh, locate_neck(mesh, locate_head(mesh)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_side_and_directions_in_any_pose(seed, left):
    matrix = Rotation.random(random_state=seed).as_matrix() @ (MIRROR if left else np.eye(3))
    anatomy = _located(BoneMesh.of_surface(moved(femur().surface, matrix, (40, 50, 60))))
    assert anatomy.side == ("left" if left else "right")
    for direction, expected in ((anatomy.up, 2), (anatomy.medial, 0), (anatomy.posterior, 1)):
        assert direction @ matrix[:, expected] > 0.999
    assert anatomy.head.center_mm == pytest.approx(matrix @ FEMUR.head_mm + [40, 50, 60], abs=0.05)
    assert anatomy.mechanical.direction @ (matrix @ [0, 0, 1]) > 0.98


def test_the_steps_add_landmarks():
    head = locate_head(femur())
    assert head.head is not None
    assert head.side == "unknown"
    assert head.neck is head.distal is head.proximal_shaft is None
    neck = locate_neck(femur(), head)
    assert neck.neck is not None
    assert neck.proximal_shaft.direction == pytest.approx([0, 0, 1], abs=1e-3)
    assert neck.distal is None


def test_a_rod_has_no_side():
    anatomy = _located(rod())
    assert anatomy.side == "unknown"
    assert anatomy.distal is None
