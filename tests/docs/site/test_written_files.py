"""The table of written files agrees with files that the commands write.

Tests of other rooms, whose commands take longer, compare their files with the same table: `run.json`,
`predictions.csv`, `parity.json`, `femur_plan.json`.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
import yaml
from file_pages import pages
from typer.testing import CliRunner
from written_files import COMPARISON, DATASET, GROUPS, MEASURED, STUDY, fields_of

from nnunet_femur.cli import app
from nnunet_femur.comparison.clinical.measurement_errors import COLUMNS as MEASUREMENTS
from nnunet_femur.comparison.scoring import COLUMNS as SCORES
from nnunet_femur.measurement import measure
from nnunet_femur.measurement.output.measurement_tables import columns_of
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.measurement.surfaces.model_surfaces import QUALITY_COLUMNS
from nnunet_femur.study.job_records import Status
from nnunet_femur.study.presets import PRESETS, preset_text
from nnunet_femur.testing import write_phantoms

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms, their raw dataset with its report of findings, and measurements of a mask."""
    base = tmp_path_factory.mktemp("written")
    write_phantoms(base / "source", cases=8, seed=7, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    options = ["-d", "7", "--report", str(base / "findings.csv"), "--qc"]
    result = CliRunner().invoke(app, ["convert", str(base / "source"), *options], env={"nnUNet_raw": str(base)})
    assert result.exit_code == 0, result.output
    (base / "Dataset007_Femur").rename(base / "dataset")
    mask = next((base / "dataset" / "labelsTs").iterdir())
    measure(mask, output=base / "measured", stl=True, edge_mm=8)
    return base


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _keys(path: Path) -> list[str]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return list(content[0] if isinstance(content, list) else content)


def _around_key(path: str, further: list[str]) -> list[str]:
    """The fields of a file in which `further` replace KEY."""
    known = fields_of(MEASURED, path)
    place = known.index("KEY")
    return [*known[:place], *further, *known[place + 1 :]]


def test_dataset(folder: Path) -> None:
    dataset = folder / "dataset"
    assert _columns(dataset / "cases.csv") == fields_of(DATASET, "cases.csv")
    assert _keys(dataset / "dataset.json") == fields_of(DATASET, "dataset.json")
    assert _keys(dataset / "conversion.json") == fields_of(DATASET, "conversion.json")
    assert _columns(folder / "findings.csv") == fields_of(DATASET, "findings_DatasetNNN_NAME.csv")


def test_every_file_of_a_dataset_is_listed(folder: Path) -> None:
    listed = {part.strip().partition("/")[0] for each in DATASET.files for part in each.path.split(",")}
    assert {path.name for path in (folder / "dataset").iterdir() if not path.name.startswith(".")} <= listed


def test_measurements(folder: Path) -> None:
    assert _keys(folder / "measured" / "measurements.json") == _around_key("measurements.json", list(QUANTITIES))
    assert _columns(folder / "measured" / "measurements.csv") == _around_key("measurements.csv", columns_of(QUANTITIES))
    assert _columns(folder / "measured" / "surface_quality.csv") == _around_key(
        "surface_quality.csv", list(QUALITY_COLUMNS)
    )
    endings = {path.name.partition("_")[2].partition(".")[2] for path in (folder / "measured").iterdir()}
    assert endings >= {"mrk.json", "png", "stl"}


def test_scores_and_jobs() -> None:
    assert fields_of(COMPARISON, "scores.csv") == list(SCORES)
    assert fields_of(COMPARISON, "measurements.csv") == list(MEASUREMENTS)
    assert fields_of(STUDY, "study/done/JOB.json") == [each.name for each in fields(Status)]


def test_the_page_has_every_field() -> None:
    page = dict(pages())["reference/files.md"]
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows >= {name for group in GROUPS for each in group.files for name in each.fields}
    assert rows >= set(QUANTITIES)


def test_the_page_of_the_study_file_has_every_preset() -> None:
    page = dict(pages())["reference/study-file.md"]
    assert [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)] == [
        yaml.safe_load(preset_text(name)) for name in PRESETS
    ]
