"""docs/conversion.md: the table of findings, the options and the picture agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.kinds import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "conversion.md").read_text(encoding="utf-8")


def test_every_kind_of_finding_has_its_row():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|note) \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    shown = {code: (severity, meaning, remedy) for code, severity, meaning, remedy in rows}
    assert shown == {
        kind.code: (kind.severity.value, kind.meaning, (kind.remedy or "-").replace("|", r"\|"))
        for kind in KINDS.values()
    }


def test_every_option_of_the_page_exists():
    help_text = CliRunner().invoke(app, ["convert", "--help"], env={"COLUMNS": "200"}).output
    named = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    assert named
    assert {option for option in named if option not in help_text} == set()


def test_the_picture_exists_and_is_small():
    (picture,) = re.findall(r"\]\((images/[^)]+)\)", TEXT)
    assert 10_000 < (Path(__file__).parents[2] / "docs" / picture).stat().st_size < 150_000
