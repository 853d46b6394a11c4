"""The examples in docstrings and in the documentation run, and print what they show."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.code_blocks import TUTORIALS, blocks, commands

if TYPE_CHECKING:
    import SimpleITK as sitk

REPOSITORY = Path(__file__).parents[1]
SOURCES = ("nnunet_femur", "trainers", "dataset_conversion")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
IN_SECONDS = {"nnunet_femur.planning.dataset_plan"}
"""Modules whose examples run nnU-Net, which takes seconds."""

WITH_VALIDATION = tuple(f"nnunet_femur.selection.{name}" for name in ("ensembles", "best_configuration"))
"""Modules whose examples need models that have validated a fold."""


def _with_examples() -> list[str]:
    found = []
    for source in SOURCES:
        for path in sorted((REPOSITORY / source).rglob("*.py")):
            if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
                parts = path.relative_to(REPOSITORY).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                found.append(name if source == "nnunet_femur" else f"nnunet_femur.{name}")
    return found


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples name.

    ``source`` and ``femurs``: eight phantoms, as a hospital would send them. ``ct.nrrd``, ``reference.nrrd`` and
    ``prediction.nrrd``: a phantom, its mask, and the mask without its uppermost slices.
    ``nnUNet_raw/Dataset007_Example``: the phantoms converted. ``results``: predictions of two methods for its test
    cases.
    """
    import SimpleITK as sitk

    from nnunet_femur.conversion import convert
    from nnunet_femur.testing import make_phantom, write_phantoms

    folder = tmp_path_factory.mktemp("examples")
    write_phantoms(folder / "source", cases=8, seed=7, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    shutil.copytree(folder / "source", folder / "femurs")
    convert(folder / "source", dataset_id=7, name="Example", raw=folder / "nnUNet_raw")
    phantom = make_phantom(3, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    mask = sitk.Cast(phantom.mask, sitk.sitkUInt8)
    sitk.WriteImage(phantom.image, str(folder / "ct.nrrd"))
    sitk.WriteImage(mask, str(folder / "reference.nrrd"))
    sitk.WriteImage(_shortened(mask), str(folder / "prediction.nrrd"))
    methods = folder / "results" / "Dataset007_Example"
    for reference in (folder / "nnUNet_raw" / "Dataset007_Example" / "labelsTs").iterdir():
        mask = sitk.ReadImage(str(reference))
        for method, predicted in (
            ("FemurScratchTrainer__nnUNetPlans__3d_fullres", _shortened(mask)),
            ("TotalSegmentator__total__1.5mm", mask),
        ):
            (methods / method / "test").mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(predicted, str(methods / method / "test" / reference.name))
    return folder


def _shortened(mask: sitk.Image) -> sitk.Image:
    """The mask without its two uppermost slices."""
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(mask)
    held = array.any(axis=(1, 2)).nonzero()[0]
    array[held[-2] :] = 0
    shorter = sitk.GetImageFromArray(array)
    shorter.CopyInformation(mask)
    return shorter


WITH_MODEL = (
    *("nnunet_femur.prediction.batch", "nnunet_femur.prediction.segmenter"),
    "nnunet_femur.model_export.exporting",
)
"""Modules whose examples need a trained model."""

WITH_WEIGHTS = tuple(f"nnunet_femur.weights.{name}" for name in ("download", "install", "models", "verification"))
"""Modules whose examples need weights in TotalSegmentator's weights folder; dummy weights serve."""


@pytest.fixture(scope="session")
def model(examples: Path) -> Path:
    """The folder ``model``: an untrained network in nnU-Net's layout."""
    import shutil

    from nnunet_femur.testing import Case, make_phantom, write_dummy_weights

    phantom = make_phantom(3, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    source = write_dummy_weights(
        examples / "weights",
        spacing_mm=8.0,
        features=4,
        patch=16,
        iterations=0,
        training=[Case(phantom.image, phantom.mask, phantom.side)],
        tasks=("femur",),
    )
    return shutil.copytree(source.folder, examples / "model")


@pytest.fixture(scope="session")
def validated(examples: Path) -> Path:
    """The folder ``validated``: two models that have validated fold 0, with probabilities."""
    from tests.validated import write_model

    folder, raw = examples / "validated" / "Dataset007_Example", examples / "nnUNet_raw" / "Dataset007_Example"
    for trainer, probability in (("FemurThreePlaneTrainer", 0.7), ("FemurScratchTrainer", 0.9)):
        name = f"{trainer}__nnUNetPlans__3d_fullres"
        write_model(folder / name, raw, lambda _, reference, p=probability: p * reference, folds=[0])
    return folder


WITH_STUDY = ("nnunet_femur.study.run",)
"""Modules whose examples need a finished study."""

SLOW = {*IN_SECONDS, *WITH_MODEL, *WITH_WEIGHTS, *WITH_STUDY}


@pytest.fixture(scope="session")
def finished_study(examples: Path) -> Path:
    """The folder ``demo``: a finished study of one method."""
    from nnunet_femur.study import run_study

    file = examples / "demo" / "study.yaml"
    file.parent.mkdir()
    file.write_text(
        "{folder: ., dataset: {phantoms: 6}, folds: [0], methods: [FemurUnetMobileNetV3Trainer],\n"
        " plans: {nnUNetPlans: {preset: small, epochs: 1, iterations: 1, jobs: 1}}, threads: 1}\n"
    )
    run_study(file)
    return file.parent


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.integration] * (name in SLOW)) for name in _with_examples()],
)
def test_docstrings(name: str, examples: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Examples run in the folder with the files that they name, one module at a time."""
    from nnunet_femur.dataset.environment import variables

    if name in WITH_MODEL:
        request.getfixturevalue("model")
    if name in WITH_WEIGHTS:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(request.getfixturevalue("dummy_weights")))
    if name in WITH_VALIDATION:
        request.getfixturevalue("validated")
    if name in WITH_STUDY:
        request.getfixturevalue("finished_study")
    monkeypatch.chdir(examples)
    for variable, value in variables(examples).items():
        monkeypatch.setitem(os.environ, variable, value)
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.failed == 0


def _pages_with(language: str) -> list[Path]:
    """Return the pages with blocks that run; the tutorials run as notebooks."""
    pages = {block.page for block in blocks(language) if not block.needs and block.page.parent != TUTORIALS}
    return sorted(pages)


@pytest.fixture(scope="session")
def files_of_pages(examples: Path, model: Path) -> Path:
    """The same folder with further files that pages name: models of two folds, scans, masks and results."""
    import SimpleITK as sitk

    from nnunet_femur.testing import make_phantom

    folds = shutil.copytree(
        model, examples / "two_folds" / "Dataset007_Example" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    )
    shutil.copytree(folds / "fold_0", folds / "fold_1", dirs_exist_ok=True)
    for name in ("model", "model_folder_or"):
        shutil.make_archive(str(examples / f"{name}"), "zip", examples / "two_folds")
    (examples / "scans").mkdir()
    (examples / "masks").mkdir()
    # Of triangles with edges of 2 mm, voxels may have 4 mm.
    phantom = make_phantom(3, size_zyx=(124, 48, 48), spacing_mm_zyx=(4.0, 4.0, 4.0))
    sitk.WriteImage(phantom.image, str(examples / "scans" / "ct.nrrd"))
    for place in (examples / "masks" / "ct.nrrd", examples / "femur.nrrd"):
        sitk.WriteImage(phantom.mask, str(place))
    shutil.copytree(examples / "results", examples / "nnUNet_results")
    # Of `nnfemur-compare`: masks of another method, and a table of cases.
    dataset = examples / "nnUNet_raw" / "Dataset007_Example"
    shutil.copytree(dataset / "labelsTs", examples / "predictions")
    shutil.copy(dataset / "cases.csv", examples / "cases.csv")
    return examples


@pytest.fixture
def in_folder_of_pages(files_of_pages: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(files_of_pages)
    monkeypatch.delenv("nnUNet_raw", raising=False)
    shutil.rmtree(files_of_pages / "nnUNet_raw" / "Dataset001_Femur", ignore_errors=True)
    return files_of_pages


def _name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.integration
@pytest.mark.parametrize("page", _pages_with("python"), ids=_name)
def test_python_of_pages(page: Path, in_folder_of_pages: Path) -> None:
    """The blocks of a page run from the first to the last, in the folder of the examples."""
    code = "\n".join(block.code for block in blocks("python", pages=[page]) if not block.needs)
    exec(compile(code, str(page), "exec"), {"__name__": "example"})  # noqa: S102


@pytest.mark.integration
@pytest.mark.parametrize("page", _pages_with("bash"), ids=_name)
def test_commands_of_pages(page: Path, in_folder_of_pages: Path) -> None:
    """The same for commands of this package: every one ends with status 0."""
    from typer.testing import CliRunner

    from nnunet_femur.cli import _compare, app

    programs = {"nnfemur": app, "nnfemur-compare": _compare}
    for block in blocks("bash", pages=[page]):
        for name, *arguments in () if block.needs else commands(block.code):
            result = CliRunner().invoke(programs[name], arguments)
            assert result.exit_code == 0, f"{block}: {name} {arguments}: {result.output} {result.exception!r}"


def test_the_page_lists_every_code_of_errors() -> None:
    from nnunet_femur.errors import CODES

    text = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text, re.MULTILINE)) == CODES
