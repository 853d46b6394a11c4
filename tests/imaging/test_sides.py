"""Sides in the names of cases."""

from __future__ import annotations

import pytest

from nnunet_femur.imaging.sides import side_in_name


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("R101", "right"),
        ("l442_followup", "left"),
        ("B12", "both"),
        ("P7_femur_left", "left"),
        ("7-R", "right"),
        ("femur right 3", "right"),
        ("L442_L", "left"),
        ("R101_left", "unknown"),
        ("L442x", "unknown"),
        ("left2", "unknown"),
        ("patient_b", "unknown"),
        ("RL12", "unknown"),
        ("XL12", "unknown"),
        ("image", "unknown"),
        ("", "unknown"),
    ],
)
def test_side_in_a_name(name: str, side: str) -> None:
    assert side_in_name(name) == side
