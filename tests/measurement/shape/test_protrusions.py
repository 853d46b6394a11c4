"""Balls of 8 mm fused with a phantom femur, where the lengths and the joint line rest on single points."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.measurement.shape.mesh import BoneMesh
from nnunet_femur.measurement.shape.protrusions import OF_CONDYLES, OF_HEAD, contact_mm2
from tests.measurement.leg_masks import GRID, UP, ball, femur, leg


@pytest.fixture(scope="module")
def whole():
    return measure_mask(femur(0), GRID)


def _codes(found, keys):
    return {key: found.missing[key].code for key in keys if key in found.missing}


def test_a_whole_femur_has_none(whole):
    assert _codes(whole, OF_CONDYLES) == {}


def test_on_the_head(whole):
    direction = np.array([0.6, 0.0, 0.8])
    place = leg(0).head_mm + leg(0).head_radius_mm * direction
    found = measure_mask(femur(0) | ball(place, 8.0), GRID)
    assert _codes(found, whole.values) == dict.fromkeys(OF_HEAD, "head-protrusion")
    assert found["head_radius_mm"] == pytest.approx(whole["head_radius_mm"], abs=0.1)
    assert found["version_neck_deg"] == pytest.approx(whole["version_neck_deg"], abs=0.3)


def test_below_a_condyle(whole):
    place = whole.anatomy.distal.distal_medial_mm
    found = measure_mask(femur(0) | ball(place, 8.0), GRID)
    assert _codes(found, whole.values) == dict.fromkeys(OF_CONDYLES, "distal-protrusion")
    assert found["version_neck_deg"] == pytest.approx(whole["version_neck_deg"], abs=0.3)


@pytest.mark.parametrize("side", ["posterior_medial_mm", "posterior_lateral_mm"])
def test_behind_a_condyle_leaves_no_version(whole, side):
    """Its contact with the condylar line would turn the version by 11 degrees."""
    place = getattr(whole.anatomy.distal, side)
    found = measure_mask(femur(0) | ball(place, 8.0), GRID)
    if found["version_neck_deg"] is not None:
        assert found["version_neck_deg"] == pytest.approx(whole["version_neck_deg"], abs=1.0)
    assert found["head_radius_mm"] == pytest.approx(whole["head_radius_mm"], abs=0.1)


@pytest.mark.parametrize(("radius_mm", "tolerance"), [(8.0, 0.4), (24.0, 0.15)])
def test_area_of_contact_is_that_of_a_cap(radius_mm, tolerance):
    """A cap of height h of a sphere has the area 2 pi r h; the smoothing of the mask changes small spheres more."""
    mesh = BoneMesh.of_mask(ball((0, 0, 200), radius_mm), GRID)
    area = contact_mm2(mesh, np.array([0, 0, 200 - radius_mm]), -UP, depth_mm=3.0)
    assert area == pytest.approx(2 * np.pi * radius_mm * 3, rel=tolerance)


def test_on_the_shaft_changes_nothing(whole):
    x, y = leg(0).parts[0].centre[6]
    place = (x + 20.0, y, 0.5 * leg(0).length_mm)
    found = measure_mask(femur(0) | ball(place, 8.0), GRID)
    assert set(found.missing) == set(whole.missing)
    assert found["mldfa_deg"] == pytest.approx(whole["mldfa_deg"], abs=0.05)
    assert UP @ found.anatomy.up > 0.9
