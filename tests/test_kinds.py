"""The table of kinds of findings."""

from __future__ import annotations

import pytest

from nnunet_femur.conversion.checks.header_checks import IMAGE_HEADER_CHECKS
from nnunet_femur.conversion.checks.mask_checks import MASK_CHECKS
from nnunet_femur.findings import Severity
from nnunet_femur.imaging.hounsfield import IMAGE_CHECKS
from nnunet_femur.kinds import KINDS, Checks, finding


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_errors_and_warnings_have_a_remedy(kind):
    assert kind.meaning
    if kind.severity is not Severity.NOTE:
        assert kind.remedy.endswith(".")


def test_a_check_belongs_to_one_kind():
    codes = [*IMAGE_HEADER_CHECKS, *IMAGE_CHECKS, *MASK_CHECKS]
    assert len(codes) == len(set(codes))
    assert set(codes) <= set(KINDS)


def test_checks_give_findings_where_they_have_a_problem():
    checks = Checks()
    checks.register("metal")(lambda facts: "is of metal." if facts == 1 else None)
    assert checks.run(0, "a.nrrd") == []
    assert checks.run(1, "a.nrrd") == [finding("metal", "a.nrrd", "is of metal.")]


@pytest.mark.parametrize("code", ["metal", "no-such-code"])
def test_a_code_must_be_known_and_can_be_registered_once(code):
    checks = Checks()
    if code in KINDS:
        checks.register(code)(lambda facts: None)
    with pytest.raises(ValueError, match=code):
        checks.register(code)(lambda facts: None)
