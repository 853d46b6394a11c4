"""Real input: the shared cohort of synthetic CTs, whose truth and defects are known."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_femur.errors import InputError
from nnunet_femur.intake import convert

MAKE_COHORT = Path(__file__).parents[3] / "shared" / "cohort" / "make_cohort.py"

pytestmark = pytest.mark.skipif(not MAKE_COHORT.is_file(), reason=f"the shared cohort is not there: {MAKE_COHORT}")


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """The cohort with its quirks, coarse so that it is made in seconds."""
    folder = tmp_path_factory.mktemp("cohort")
    options = ["--cases", "12", "--seed", "1", "--spacing", "5", "5", "6", "--quirks", "--jobs", "2"]
    subprocess.run([sys.executable, str(MAKE_COHORT), str(folder), *options], check=True, capture_output=True)
    return folder


def test_what_must_stop_stops_and_what_may_pass_is_right(cohort, tmp_path):
    truth = _read(cohort / "cohort.csv")
    quirks = {row["quirk"]: row for row in truth if row["quirk"]}
    raw = tmp_path / "raw"

    with pytest.raises(InputError) as caught:
        convert(cohort, dataset_id=1, raw_folder=raw)
    for quirk, words in (
        ("orphan_mask", "has no image"),
        ("mask_cropped", "is not on the grid of"),
        ("mask_other_grid", "is not on the grid of"),
    ):
        assert f"{quirks[quirk]['mask']}: {words}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 4
    for quirk in ("orphan_mask", "mask_cropped", "mask_other_grid"):
        for path in cohort.glob(f"*/{Path(quirks[quirk]['mask']).name[:4]}*"):
            path.unlink()

    with pytest.raises(InputError) as caught:
        convert(cohort, dataset_id=1, raw_folder=raw)
    assert f"{quirks['truncated_image']['image']}: cannot be read; truncated" in str(caught.value)
    assert f"{quirks['empty_mask']['mask']}: is empty" in str(caught.value)
    assert list(raw.glob("[!.]*")) == []
    for quirk in ("truncated_image", "empty_mask"):
        for path in cohort.glob(f"*/{quirks[quirk]['id']}*"):
            path.unlink()

    dataset = convert(cohort, dataset_id=1, raw_folder=raw)
    rows = {row["case"]: row for row in _read(dataset / "cases.csv")}
    volumes = {row["id"]: float(row["volume_ml"]) for row in truth if row["id"] in rows}
    assert len(rows) == 8
    assert {case: float(row["volume_ml"]) for case, row in rows.items()} == pytest.approx(volumes, rel=0.005)
    for quirk, code in (
        ("mask_label_2", "mask-label-2"),
        ("mask_float64", "mask-type"),
        ("padding_-3024", "padding"),
        ("image_direction_180", "mask-reordered"),
        ("mask_origin_1e-4", "grid-snapped"),
    ):
        assert code in rows[quirks[quirk]["id"]]["notes"]
