"""Names and numbers of patients in headers reach neither the dataset nor what is printed."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import nibabel
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = (b"Rossi", b"Mario", b"PID12345", b"1.2.3")


@pytest.fixture
def named_source(hospital, write_slices):
    """Six patients; DICOM, NRRD and NIfTI files all carry a patient's name."""
    hospital.add_patients(6)
    for number in (101, 103):
        (hospital.folder / f"Images/L{number}_CT.nrrd").unlink()
        write_slices(
            hospital.folder / f"Images/L{number}",
            hospital.image(f"L{number}"),
            z_mm=[-300.25 + 60 * i for i in range(5)],
        )
    for path in (hospital.folder / "Images/R102_CT.nrrd", hospital.folder / "GoldStandard/R102_GS.nrrd"):
        image = sitk.ReadImage(str(path))
        for key in ("PatientName", "0010|0010", "Segmentation_SourceName"):
            image.SetMetaData(key, "Rossi^Mario")
        sitk.WriteImage(image, str(path), True)
    path = hospital.folder / "Images/R104_CT.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_suffix(".nii")))
    nifti = nibabel.load(path.with_suffix(".nii"))
    nifti.header["descrip"] = b"Rossi^Mario PID12345"
    nibabel.save(nifti, path.with_suffix(".nii.gz"))
    for left_over in (path, path.with_suffix(".nii")):
        left_over.unlink()
    stored = [file.read_bytes() for file in hospital.folder.rglob("*") if file.is_file()]
    assert sum(b"Rossi" in (gzip.decompress(file) if file[:2] == b"\x1f\x8b" else file) for file in stored) == 13
    return hospital


def _convert(folder: Path, raw: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "nnunet_femur", "convert", str(folder), "-d", "1"],
        env={**os.environ, "nnUNet_raw": str(raw)},
        capture_output=True,
        check=False,
    )


def _contents(folder: Path):
    """Every file as it stands, and volumes unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            header, _, voxels = content.partition(b"\n\n")
            yield path.name, content
            if path.suffix == ".nrrd":
                yield path.name, header + gzip.decompress(voxels)


def test_a_dataset_contains_no_names_of_persons(named_source, raw):
    done = _convert(named_source.folder, raw)
    assert done.returncode == 0, done.stderr
    assert len(list(raw.rglob("*_0000.nrrd"))) == 6
    for name, content in [*_contents(raw), ("printed", done.stdout + done.stderr)]:
        assert [secret for secret in SECRETS if secret in content] == [], name


@pytest.mark.parametrize("kept", [200, 700, -30])
def test_errors_contain_no_names_of_persons(named_source, raw, kept):
    for path in (named_source.folder / "Images/L101/slice002.dcm", named_source.folder / "Images/R102_CT.nrrd"):
        path.write_bytes(path.read_bytes()[:kept])
    done = _convert(named_source.folder, raw)
    assert done.returncode == 1
    assert b"Images/L101: " in done.stderr
    for name, content in [*_contents(raw), ("printed", done.stdout + done.stderr)]:
        assert [secret for secret in SECRETS if secret in content] == [], name
