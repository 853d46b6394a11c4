"""The conversion script of TotalSegmentator's dataset."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

SCRIPT = Path(__file__).parents[2] / "dataset_conversion" / "Dataset002_TotalSegmentatorFemur.py"
SETS = ("train", "train", "train", "train", "train", "train", "val", "test")


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((10.0, 10.0, 10.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Eight subjects with two femurs of 120 ml, and one whose left femur is cut to 4 ml."""
    folder = tmp_path / "totalsegmentator"
    for number in range(len(SETS) + 1):
        subject = folder / f"s{number:04d}"
        image = np.random.default_rng(number).integers(-900, 1500, (16, 12, 14)).astype(np.int16)
        _write(subject / "ct.nii.gz", image)
        for side, x in (("left", 2), ("right", 8)):
            mask = np.zeros(image.shape, np.uint8)
            mask[2 : 3 if side == "left" and number == len(SETS) else 14, 4:7, x : x + 3] = 1
            _write(subject / f"segmentations/femur_{side}.nii.gz", mask)
        _write(subject / "segmentations/hip_left.nii.gz", image * 0)
    rows = "".join(f"s{number:04d};50;{name}\n" for number, name in enumerate((*SETS, "train")))
    (folder / "meta.csv").write_text(f"image_id;age;split\n{rows}")
    return folder


def test_it_converts_in_the_datasets_own_split(dataset, tmp_path):
    done = _run((str(SCRIPT),), dataset, tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "raw" / "Dataset002_TotalSegmentatorFemur"
    assert done.stdout.splitlines()[-1] == str(folder)
    with (folder / "cases.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    names = ["validation" if name == "val" else name for name in SETS]
    assert {case: row["set"] for case, row in rows.items()} == {f"S{i:04d}": name for i, name in enumerate(names)}
    assert {(row["side"], row["volume_ml"]) for row in rows.values()} == {("both", "216.000")}
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "labelsTs/S0007.nrrd")))
    assert mask.sum() == 216
    findings = json.loads((folder / "conversion.json").read_text())["findings"]
    assert [(f["code"], f["file"]) for f in findings] == [("femur-cut", "s0008/segmentations/femur_left.nii.gz")]


def test_the_least_volume_is_an_option(dataset, tmp_path):
    done = _run(("-m", "nnunet_femur.dataset_conversion.Dataset002_TotalSegmentatorFemur"), dataset, tmp_path, "9")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw/Dataset002_TotalSegmentatorFemur/labelsTr/S0008.nrrd").is_file()


def test_an_error_is_a_message_and_status_1(tmp_path):
    (tmp_path / "empty").mkdir()
    done = _run((str(SCRIPT),), tmp_path / "empty", tmp_path)
    assert done.returncode == 1
    assert "ct.nii.gz" in done.stderr
    assert "Traceback" not in done.stderr


def _run(way: tuple[str, ...], source: Path, folder: Path, least_ml: str = "50") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *way, str(source), "--min-volume-ml", least_ml],
        env={**os.environ, "nnUNet_raw": str(folder / "raw")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
