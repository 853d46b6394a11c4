"""``nnfemur measure``: what is printed, what is written, and the exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import SimpleITK as sitk
from typer.testing import CliRunner, Result

from nnunet_femur.cli import app
from nnunet_femur.cli.measure import several_cts
from nnunet_femur.errors import FemurError
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.testing.analytic_femur import AnalyticFemur
from nnunet_femur.testing.voxelising import grid_around, voxelise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``R1.nrrd``, a right femur, and ``ct/R1.nrrd``, its CT: 500 HU in air."""
    folder = tmp_path_factory.mktemp("masks")
    surface = AnalyticFemur().surface(step_mm=4.0)
    grid = grid_around(surface, (2.0, 2.0, 2.0))
    image = image_of(voxelise(surface, grid), grid)
    sitk.WriteImage(image, str(folder / "R1.nrrd"), True)
    (folder / "ct").mkdir()
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16) * 1500 - 1000, str(folder / "ct" / "R1_0000.nrrd"), True)
    return folder


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["measure", *map(str, arguments)], env={"COLUMNS": "100"})


def test_prints_a_table(masks: Path) -> None:
    result = _run(masks / "R1.nrrd")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("neck-shaft angle (3D)"))
    assert float(row.split()[3]) == pytest.approx(125, abs=1)
    assert "Measure" not in result.stdout


def test_writes_a_folder_with_density(masks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = _run(masks / "R1.nrrd", "--ct", masks / "ct", "--calibration", "0.8,-2", "-o", out)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(out)
    record = json.loads((out / "measurements.json").read_text())[0]
    assert record["side"] == "right"
    assert record["hu_mean"] == 500
    assert record["bmd_mean_mg_cm3"] == 398
    assert {path.name for path in out.iterdir()} == {
        *("measurements.csv", "measurements.json", "R1_right.mrk.json", "R1_right.png")
    }


def test_one_bad_mask_is_status_1(masks: Path, tmp_path: Path) -> None:
    bad = tmp_path / "L2.nrrd"
    bad.write_bytes(b"NRRD0004\ntype: uint8\n")
    result = _run(masks / "R1.nrrd", bad, "-o", tmp_path / "both.json")
    assert result.exit_code == 1
    assert "L2.nrrd" in result.stderr
    assert [record["case"] for record in json.loads((tmp_path / "both.json").read_text())] == ["R1", "L2"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.nrrd",), "not-found"),
        (("{masks}/R1.nrrd", "--labels", "x"), "invalid-option"),
        (("{masks}/R1.nrrd", "--calibration", "0.8,-2"), "invalid-option"),
        (("{masks}/R1.nrrd", "-o", "table.xlsx"), "invalid-name"),
    ],
)
def test_wrong_arguments(masks: Path, arguments: tuple[str, ...], code: str) -> None:
    result = _run(*(each.format(masks=masks) for each in arguments))
    assert isinstance(result.exception, FemurError)
    assert result.exception.code == code


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("m --ct a b -o out", "m --ct a --ct b -o out"),
        ("m n --ct a b c", "m n --ct a --ct b --ct c"),
        ("m --ct a --ct b c -j 2", "m --ct a --ct b --ct c -j 2"),
        ("m -o out --ct a", "m -o out --ct a"),
        ("--ct a m", "--ct a m"),
        ("m -o out", "m -o out"),
        ("", ""),
    ],
)
def test_several_cts(given: str, meant: str) -> None:
    assert several_cts(given.split()) == meant.split()


def test_cts_of_a_shell_pattern(masks: Path, tmp_path: Path) -> None:
    """Without care for it, the second CT would be a mask."""
    other = tmp_path / "L9.nrrd"
    other.write_bytes((masks / "ct" / "R1_0000.nrrd").read_bytes())
    out = tmp_path / "one.json"
    result = _run(masks / "R1.nrrd", "--ct", other, masks / "ct" / "R1_0000.nrrd", "-o", out)
    assert result.exit_code == 0
    assert [record["hu_mean"] for record in json.loads(out.read_text())] == [500]


def test_without_masks_is_wrong_usage() -> None:
    assert _run().exit_code == 2


def test_surfaces(masks: Path, tmp_path: Path) -> None:
    result = _run(masks / "R1.nrrd", "-o", tmp_path, "--stl", "--ply", "--edge-mm", 8)
    assert result.exit_code == 0
    assert {"R1_right.stl", "R1_right.ply", "surface_quality.csv"} <= {path.name for path in tmp_path.iterdir()}
    assert "smallest angle" in result.stdout
    assert "stated edge length" in result.stdout


def test_a_surface_that_cannot_be_made_gives_status_1(masks: Path, tmp_path: Path) -> None:
    result = _run(masks / "R1.nrrd", "-o", tmp_path, "--stl", "--edge-mm", 0.5)
    assert result.exit_code == 1
    assert "R1 right: no surface" in result.stdout
    assert (tmp_path / "measurements.csv").is_file()
    assert not list(tmp_path.glob("*.stl"))
