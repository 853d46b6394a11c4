"""Tables of several parts, joined, are those of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

import nnunet_femur as nf
from nnunet_femur.cli import app
from nnunet_femur.measurement.output.shard_tables import join_csv, join_json
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("measurements.csv", "measurements.json", "surface_quality.csv")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Six boxes, of which nothing but volume and length is measured, and a file that is damaged."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(6):
        voxels = np.zeros((12, 8, 8), np.uint8)
        voxels[2 : 9 + number % 3, 2:6, 2:6] = 1
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((5.0, 5.0, 8.0))
        sitk.WriteImage(image, str(folder / f"{'LR'[number % 2]}{number}.nrrd"))
    (folder / "L9.nrrd").write_bytes(b"NRRD0004\n")
    return folder


def test_parts_and_one_run(masks: Path, tmp_path: Path) -> None:
    nf.measure(masks, output=tmp_path / "alone", stl=True)
    out = tmp_path / "out"
    for number in range(1, 5):
        nf.measure(masks, output=out, stl=True, shard=f"{number}/4")
    assert not any((out / name).exists() for name in TABLES)
    ended = CliRunner().invoke(app, ["merge", str(out)])
    assert ended.exit_code == 0, ended.output
    for name in TABLES:
        assert (out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
    files = {path.name for path in (tmp_path / "alone").iterdir()}
    assert {path.name for path in out.iterdir()} == {*files, "shards"}


def test_a_later_result_of_a_case_replaces_an_earlier_one(masks: Path, tmp_path: Path) -> None:
    nf.measure(masks, output=tmp_path / "out", shard="1/1")
    CliRunner().invoke(app, ["merge", str(tmp_path / "out")])
    before = (tmp_path / "out" / "measurements.csv").read_text()
    (masks / "L9.nrrd").write_bytes((masks / "L0.nrrd").read_bytes())
    nf.measure(masks, output=tmp_path / "out", shard="1/1")
    CliRunner().invoke(app, ["merge", str(tmp_path / "out")])
    after = (tmp_path / "out" / "measurements.csv").read_text()
    assert [a == b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)].count(False) == 1


def test_a_part_needs_a_folder(masks: Path, tmp_path: Path) -> None:
    with refused("invalid-option", "shard"):
        nf.measure(masks, output=tmp_path / "table.csv", shard="1/2")


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for join, name, text in ((join_csv, "measurements.csv", "a,b\n1,2\n"), (join_json, "measurements.json", "{}")):
        (tmp_path / "shards" / f"1-of-2.{name}").write_text(text)
        with refused("invalid-file", f"1-of-2.{name}"):
            join(tmp_path, name)


def test_a_folder_without_parts(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["merge", str(tmp_path)])
    assert ended.exit_code != 0
    assert getattr(ended.exception, "code", "") == "no-cases"
