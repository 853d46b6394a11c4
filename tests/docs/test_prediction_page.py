"""docs/prediction.md: the table of findings and the options agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.prediction.anatomy_checks import DIFFERENCES, LIMITS
from nnunet_femur.prediction.prediction_kinds import PREDICTION_KINDS, WEIGHTS

TEXT = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text(encoding="utf-8")


def test_every_kind_of_finding_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z][a-z-]+)` \| ([0-9.]+) \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    shown = {code: (float(weight), meaning, remedy) for code, weight, meaning, remedy in rows}
    assert shown == {kind.code: (WEIGHTS[kind.code], kind.meaning, kind.remedy) for kind in PREDICTION_KINDS.values()}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.label)
def test_every_limit_is_given(limit) -> None:
    (paragraph,) = re.findall(rf"^- `{limit.code}`:.*(?:\n  .*)*", TEXT, re.MULTILINE)
    assert f"{limit.low:g} to {limit.high:g}".replace("-", "−") in " ".join(paragraph.split())


def test_every_difference_is_given() -> None:
    (paragraph,) = re.findall(r"^- `legs-differ`:.*(?:\n  .*)*", TEXT, re.MULTILINE)
    for limit in DIFFERENCES:
        assert (f"{100 * limit.most:g} %" if limit.relative else f" {limit.most:g} ") in paragraph


OF_OTHER_COMMANDS = {"--json", "--save_probabilities", "--size"}


def test_every_option_of_the_page_exists() -> None:
    help_text = CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).output
    named = set(re.findall(r"`(--[a-z][a-z-]+)`", TEXT)) - OF_OTHER_COMMANDS
    assert "--sides" in named
    assert {option for option in named if option not in help_text} == set()
