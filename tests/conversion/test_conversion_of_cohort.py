"""Real input: the shared cohort of synthetic CTs, with known reference masks and defects."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.conversion import convert
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, shared) -> Path:
    """The cohort with its quirks, coarse so that it is made in seconds."""
    folder = tmp_path_factory.mktemp("cohort")
    options = ["--cases", "12", "--seed", "1", "--spacing", "5", "5", "6", "--quirks", "--jobs", "2"]
    subprocess.run(
        [sys.executable, str(shared / "cohort" / "make_cohort.py"), str(folder), *options],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def quirks(cohort) -> dict[str, dict[str, str]]:
    """The row of cohort.csv of each quirk."""
    return {row["quirk"]: row for row in _read(cohort / "cohort.csv") if row["quirk"]}


def test_errors_of_headers_are_reported_and_nothing_is_written(cohort, quirks, tmp_path):
    raw = tmp_path / "raw"
    with refused("bad-cases", f"{quirks['orphan_mask']['mask']}: "):
        convert(cohort, dataset_id=1, raw=raw)
    assert [path.name for path in raw.rglob("*") if path.is_file()] == ["findings_Dataset001_Femur.csv"]


def test_the_other_cases_are_converted_with_their_reference_volumes(cohort, quirks, tmp_path):
    source = tmp_path / "hospital"
    shutil.copytree(cohort, source)
    (source / quirks["orphan_mask"]["mask"]).unlink()
    with refused("bad-cases"):
        convert(source, dataset_id=1, raw=tmp_path / "raw")
    bad = {
        row["file"]: row["code"]
        for row in _read(tmp_path / "raw/findings_Dataset001_Femur.csv")
        if row["severity"] == "error"
    }
    assert bad == {quirks["truncated_image"]["image"]: "unreadable", quirks["empty_mask"]["mask"]: "empty-mask"}
    for quirk in ("truncated_image", "empty_mask"):
        for path in source.glob(f"*/{quirks[quirk]['id']}*"):
            path.unlink()

    dataset = convert(source, dataset_id=1, raw=tmp_path / "raw").folder
    rows = {row["case"]: row for row in _read(dataset / "cases.csv")}
    reference = {row["id"]: float(row["volume_ml"]) for row in _read(cohort / "cohort.csv") if row["id"] in rows}
    assert len(rows) == 10
    volumes = {case: float(row["volume_ml"]) for case, row in rows.items()}
    # Voxels of 5 x 5 x 6 mm on another grid than the reference: at the cohort's own spacing it is within 0.5 % too.
    other = quirks["mask_other_grid"]["id"]
    assert volumes.pop(other) == pytest.approx(reference.pop(other), rel=0.01)
    assert volumes == pytest.approx(reference, rel=1e-6)
    for quirk, code in (
        ("mask_label_2", "mask-label-2"),
        ("mask_float64", "mask-type"),
        ("padding_-3024", "padding"),
        ("image_direction_180", "mask-reordered"),
        ("image_direction_180", "image-direction"),
        ("mask_origin_1e-4", "grid-snapped"),
        ("mask_cropped", "mask-cropped"),
        ("mask_other_grid", "mask-resampled"),
    ):
        assert f"{code} (note): " in rows[quirks[quirk]["id"]]["notes"]
    assert quirks["upper_case_extension"]["id"] in rows
    # Nothing is doubted in the cases without a quirk.
    findings = json.loads((dataset / "conversion.json").read_text())
    assert [f for case in findings["cases"] for f in case["findings"] if f["severity"] != "note"] == []
