"""A tiny dataset, converted and planned once for all tests that run nnU-Net."""

from __future__ import annotations

import locale
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TEST_DATA = "NNFEMUR_TEST_DATA"
"""Environment variable that names a folder with ``cohort`` and ``ct``, for the tests on larger or real data."""

# Two workers on two cores: threads that wait for each other must not keep a core busy meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ONE_MACHINE = {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1", "nnUNet_compile": "f"}
"""nnU-Net's settings for two cores: every further process would import it anew."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the synthetic cohort and the real CTs, which are not part of the project."""
    folder = os.environ.get(TEST_DATA)
    if not folder:
        pytest.skip(f"{TEST_DATA} is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"{TEST_DATA}: {folder} is not a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small phantoms, laid out as a hospital would send them."""
    from nnunet_femur.testing import write_phantoms

    folder = tmp_path_factory.mktemp("source")
    write_phantoms(folder, cases=8, seed=7, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    return folder


@pytest.fixture(scope="session")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds nnUNet_raw with the phantoms as dataset 1."""
    from nnunet_femur.conversion import convert

    base = tmp_path_factory.mktemp("nnunet")
    (base / "nnUNet_raw").mkdir()
    convert(source, dataset_id=1, raw=base / "nnUNet_raw")
    return base


@pytest.fixture(scope="session")
def planned(converted: Path) -> Path:
    """The same folder after planning and preprocessing, with two tiny epochs."""
    from nnunet_femur.dataset.environment import variables
    from nnunet_femur.planning import plan

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**variables(converted), **ONE_MACHINE}.items():
            patch.setenv(name, value)
        plan(1, preset="small", epochs=3, iterations=2, jobs=1)
    return converted


@pytest.fixture
def nnunet(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The planned dataset, with the environment of `nnfemur env` around the test."""
    from nnunet_femur.dataset.environment import variables

    for name, value in {**variables(planned), **ONE_MACHINE}.items():
        monkeypatch.setenv(name, value)
    return planned


@pytest.fixture(scope="session")
def dummy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with a tiny dummy for TotalSegmentator's femur model, at 8 mm."""
    from nnunet_femur.testing import make_phantom, write_dummy_weights

    made = [
        make_phantom(seed, side=side, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
        for seed, side in ((100, "left"), (101, "right"), (102, "left"), (103, "right"))
    ]
    folder = tmp_path_factory.mktemp("dummy_model")
    cases = [(phantom.image, phantom.mask, phantom.side) for phantom in made]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ONE_MACHINE.items():
            patch.setenv(name, value)
        write_dummy_weights(
            folder, spacing_mm=8.0, features=4, patch=16, iterations=60, training=cases, tasks=("femur",)
        )
    return folder


@pytest.fixture(scope="session")
def transferred(planned: Path, dummy_model: Path) -> Path:
    """The same folder with the phantoms as dataset 2 too, planned from the dummy's weights, three tiny epochs."""
    from nnunet_femur.dataset.environment import variables
    from nnunet_femur.planning import plan

    raw = planned / "nnUNet_raw"
    shutil.copytree(raw / "Dataset001_Femur", raw / "Dataset002_Femur")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**variables(planned), **ONE_MACHINE, "TOTALSEG_WEIGHTS_PATH": str(dummy_model)}.items():
            patch.setenv(name, value)
        plan(2, source="totalsegmentator", preset="small", epochs=3, iterations=2, jobs=1)
    return planned


@pytest.fixture
def transfer(transferred: Path, nnunet: Path, dummy_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The planned dataset 2, with the environment of `nnfemur env` and the dummy's weights around the test.

    A test may change the plans: all files on one worker share them, so they are put back.
    """
    assert transferred == nnunet
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_model))
    plans = transferred / "nnUNet_preprocessed" / "Dataset002_Femur" / "nnUNetPlans.json"
    before = plans.read_bytes()
    yield transferred
    plans.write_bytes(before)


@pytest.fixture
def environment(nnunet: Path) -> dict[str, str]:
    """The same environment for a process."""
    assert nnunet.is_dir()
    return dict(os.environ)


@pytest.fixture
def write_slices():
    """Write a series of DICOM slices, with a patient's name and number in each."""
    import SimpleITK as sitk

    def write(folder: Path, array_zyx, *, z_mm=None, series: str = "1.2.3", first: int = 0, **fields: str) -> Path:
        """Write one file per slice; `fields` as ``t0028_1052="-1024"`` override or add header fields."""
        folder.mkdir(parents=True, exist_ok=True)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        for index, plane in enumerate(array_zyx):
            image = sitk.GetImageFromArray(plane)
            image.SetSpacing((20.0, 21.0))
            z = 60.0 * index if z_mm is None else z_mm[index]
            header = {
                "0008|0060": "CT",
                "0008|0018": f"{series}.{first + index}",
                "0010|0010": "Rossi^Mario",
                "0010|0020": "PID12345",
                "0020|000e": series,
                "0020|0013": str(index),
                "0020|0032": f"-10\\20.5\\{z}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
            } | {name[1:].replace("_", "|"): value.format(z=z) for name, value in fields.items()}
            for key, value in header.items():
                image.SetMetaData(key, value)
            writer.SetFileName(str(folder / f"slice{first + index:03d}.dcm"))
            # GDCM leaves the process in the locale "C" when it writes (not when it reads).
            locale_before = locale.setlocale(locale.LC_ALL)
            writer.Execute(image)
            locale.setlocale(locale.LC_ALL, locale_before)
        return folder

    return write


@pytest.fixture(scope="session")
def dummy_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TotalSegmentator's weights folder with untrained dummies of all three models."""
    from nnunet_femur.testing import Case, make_phantom, write_dummy_weights

    cases = []
    for side in ("left", "right"):
        phantom = make_phantom(1, side=side, size_zyx=(30, 16, 16), spacing_mm_zyx=(16.0, 12.0, 12.0))
        cases.append(Case(phantom.image, phantom.mask, side))
    folder = tmp_path_factory.mktemp("weights")
    write_dummy_weights(folder, features=2, patch=16, iterations=0, training=cases)
    return folder
