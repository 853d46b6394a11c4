"""Errors of clinical measurements: names, units, and values."""

import pytest

from nnunet_femur.comparison.clinical.endpoints import ENDPOINTS, MAIN
from nnunet_femur.measurement.quantities import QUANTITIES


def test_main_endpoints_exist():
    assert [name for name in MAIN if name not in ENDPOINTS] == []


def test_a_position_has_a_distance_and_a_direction_an_angle():
    found = {name: (ENDPOINTS[name].kind, ENDPOINTS[name].unit) for name in ("head_center_mm", "mechanical_axis_deg")}
    assert found == {"head_center_mm": ("distance", "mm"), "mechanical_axis_deg": ("angle", "deg")}


def test_every_quantity_of_a_mask_has_an_endpoint():
    of_masks = {key for key, one in QUANTITIES.items() if one.unit not in {"HU", "mg/cm3"}}
    assert {one.quantity for one in ENDPOINTS.values()} >= of_masks - {"hu_mean"}


@pytest.mark.parametrize(
    ("name", "reference", "prediction", "error"),
    [
        ("head_center_mm", (1.0, 2.0, 3.0), (4.0, 6.0, 3.0), 5.0),
        ("mechanical_axis_deg", (0.0, 0.0, 1.0), (0.0, 1.0, 1.0), 45.0),
        ("mechanical_axis_deg", (0.0, 0.0, 2.0), (0.0, 0.0, 1.0), 0.0),
        ("neck_shaft_angle_deg", 125.0, 123.5, -1.5),
        ("version_neck_deg", -178.0, 179.0, -3.0),
        ("volume_ml", 500.0, 510.0, 10.0),
    ],
)
def test_errors(name, reference, prediction, error):
    assert ENDPOINTS[name].error(reference, prediction) == pytest.approx(error)


def test_titles_have_units():
    assert ENDPOINTS["volume_ml"].title == "Volume (ml)"
    assert ENDPOINTS["version_neck_deg"].title_in_text == "version (neck, °)"
    assert ENDPOINTS["mldfa_deg"].title_in_text == "mLDFA (°)"
