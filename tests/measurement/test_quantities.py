"""The table of quantities is consistent: names end with their units, ranges rise, needs are known."""

import pytest

from nnunet_femur.measurement.quantities import QUANTITIES, SHAPE_QUANTITIES
from nnunet_femur.measurement.shape.completeness import PARTS

ENDS = {"mm": "_mm", "deg": "_deg", "ml": "_ml", "mm2": "_mm2", "cm2": "_cm2", "%": "_percent"}


def test_keys_and_labels_occur_once():
    assert len({quantity.key for quantity in SHAPE_QUANTITIES}) == len(SHAPE_QUANTITIES)
    assert len({quantity.label for quantity in SHAPE_QUANTITIES}) == len(SHAPE_QUANTITIES)
    assert [quantity.key for quantity in SHAPE_QUANTITIES] == [
        k for k in QUANTITIES if k in {q.key for q in SHAPE_QUANTITIES}
    ]


@pytest.mark.parametrize("quantity", SHAPE_QUANTITIES, ids=lambda quantity: quantity.key)
def test_a_quantity(quantity):
    if quantity.is_vector:
        assert quantity.key.endswith("_mm_lps" if quantity.unit == "mm" else "_lps")
        assert quantity.normal is None
    else:
        assert quantity.key.endswith(ENDS[quantity.unit])
    assert quantity.needs in (*PARTS, "bone")
    assert quantity.definition.endswith(".")
    if quantity.normal is not None:
        assert quantity.normal[0] < quantity.normal[1]
        assert quantity.source
