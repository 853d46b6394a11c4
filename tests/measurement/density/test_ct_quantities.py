"""Keys, units and definitions of what needs the CT."""

from __future__ import annotations

import pytest

from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES, WHOLE, level_name, part_key, section_keys
from nnunet_femur.measurement.quantities import QUANTITIES

UNITS = {"ml": "ml", "mm2": "mm2", "mm": "mm", "cm3": "mg/cm3"}


def test_keys_are_new() -> None:
    assert not set(CT_QUANTITIES) & set(QUANTITIES)


@pytest.mark.parametrize("key", CT_QUANTITIES)
def test_key_states_the_unit(key: str) -> None:
    quantity = CT_QUANTITIES[key]
    expected = "HU" if key.startswith("hu_") else UNITS.get(key.rsplit("_", 1)[-1], "1")
    assert (quantity.key, quantity.unit) == (key, expected)


def test_definitions_and_labels_are_distinct() -> None:
    for texts in (
        [each.definition for each in CT_QUANTITIES.values()],
        [each.label for each in CT_QUANTITIES.values()],
    ):
        assert len(set(texts)) == len(texts)


def test_needs_are_those_of_the_parts() -> None:
    needs = {key: CT_QUANTITIES[key].needs for key in CT_QUANTITIES}
    assert needs["hu_mean"] == needs["metal_volume_ml"] == "bone"
    assert needs["hu_mean_head"] == needs["hu_sd_neck"] == "neck"
    assert needs["bmd_mean_upper_shaft_mg_cm3"] == needs["cortical_index_5r"] == "proximal-shaft"
    assert needs["hu_mean_shaft"] == needs["cortical_area_50_mm2"] == "whole"


def test_names_of_parts_and_levels() -> None:
    assert part_key("volume{}_ml", "upper_shaft") == "volume_upper_shaft_ml"
    assert part_key("hu_sd{}", WHOLE) == "hu_sd"
    assert section_keys(level_name(3.5, in_radii=True)) == [
        *("cortical_area_3_5r_mm2", "marrow_area_3_5r_mm2", "cortical_thickness_3_5r_mm", "cortical_index_3_5r")
    ]
