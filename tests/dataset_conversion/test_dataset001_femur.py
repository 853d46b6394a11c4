"""The conversion script of the study, run as a module and as a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

SCRIPT = Path(__file__).parents[2] / "dataset_conversion" / "Dataset001_Femur.py"


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    for name, dtype in (("Images", np.int16), ("GoldStandard", np.uint8)):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            # HU from air to bone, another volume for each case; as a mask, half of it.
            values = np.linspace(-1, 1, 60).reshape(3, 4, 5)
            array = values * (1000 + number) if dtype == np.int16 else values > 0
            volume = sitk.GetImageFromArray(array.astype(dtype))
            volume.SetSpacing((10, 10, 10))
            sitk.WriteImage(volume, str(folder / name / f"L{number}_x.nrrd"))
    return folder


@pytest.mark.parametrize("way", [("-m", "nnunet_femur.dataset_conversion.Dataset001_Femur"), (str(SCRIPT),)])
def test_it_converts(source, tmp_path, way):
    done = _run(way, source, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "raw" / "Dataset003_Femur")
    assert (tmp_path / "raw" / "Dataset003_Femur" / "conversion.json").is_file()


def test_an_error_is_a_message_and_status_1(source, tmp_path):
    (source / "Images" / "L0_x.nrrd").unlink()
    done = _run((str(SCRIPT),), source, tmp_path)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "L0_x.nrrd" in done.stderr
    assert "Traceback" not in done.stderr


def _run(way: tuple[str, ...], source: Path, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *way, str(source), "-d", "3"],
        env={**os.environ, "nnUNet_raw": str(folder / "raw")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
