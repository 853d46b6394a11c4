"""Ids as safe file names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_femur.conversion.cases import safe_id


@pytest.mark.parametrize(("text", "case"), [("L442", "L442"), ("s0001", "S0001"), (" case-1_a ", "CASE-1_A")])
def test_what_is_safe_only_becomes_upper_case(text, case):
    assert safe_id(text) == case


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b", "é", "", ".", "CON", "lpt1", "x" * 300, "a\nb", "-a"])
def test_what_is_not_safe_becomes_so(text):
    assert re.fullmatch(r"[A-Z0-9][A-Z0-9_-]*-[0-9A-F]{8}", safe_id(text))
    assert len(safe_id(text)) <= 64


@given(st.text(max_size=80), st.text(max_size=80))
def test_different_ids_stay_apart(one, other):
    alike = one.strip().upper() == other.strip().upper()
    assert (safe_id(one) == safe_id(other)) is alike
    assert re.fullmatch(r"[A-Z0-9][A-Z0-9_-]{0,63}", safe_id(one))
