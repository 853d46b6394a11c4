"""Presets: each can run as it is written, and `nnfemur demo` runs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import PRESETS, Study, StudyResult, preset_text, read_study, write_preset
from nnunet_femur.study import presets as demo
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.presets import DemoSize, run_demo
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


PAPER = {
    f"Femur{part}{architecture}{encoder}Trainer"
    for part in ("", "Head")
    for architecture in ("Unet", "UnetPlusPlus")
    for encoder in ("ResNet34", "ResNet50", "DeepLabV3")
}


@pytest.mark.parametrize("name", PRESETS)
def test_is_a_study(tmp_path: Path, name: str) -> None:
    source = tmp_path / "a: source"
    source.mkdir()
    file = tmp_path / f"{name}.yaml"
    write_preset(file, name, source=None if name == "demo" else source)
    study = read_study(file)
    assert jobs_of(study)
    assert study.source == (None if name == "demo" else source)


def test_paper_has_its_fourteen_methods(tmp_path: Path) -> None:
    write_preset(tmp_path / "x.yaml", "paper", source=tmp_path)
    study = read_study(tmp_path / "x.yaml")
    assert {method.trainer for method in study.methods} == PAPER | {"FemurFinetunePaperTrainer"}
    assert len(study.methods) + len(study.baseline) == 14
    assert all(method.folds == (5,) for method in study.methods)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("mine")
    with refused("exists", "x.yaml"):
        write_preset(tmp_path / "x.yaml", "paper")
    with refused("invalid-option", "papers", "paper"):
        write_preset(tmp_path / "y.yaml", "papers")
    with refused("invalid-option", "demo"):
        write_preset(tmp_path / "y.yaml", "demo", source=tmp_path)
    assert not (tmp_path / "y.yaml").exists()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Study]:
    """The studies that were run; the integration tests run them for real."""
    studies: list[Study] = []

    def run(file: Path, **_: object) -> StudyResult:
        studies.append(read_study(file))
        return StudyResult(studies[-1].results / "report.html")

    monkeypatch.setattr(demo, "run_study", run)
    return studies


def test_the_demo_is_its_preset(tmp_path: Path, ran: list[Study]) -> None:
    folder = tmp_path / "new" / "demo"
    report = run_demo(folder).report
    assert (folder / "study.yaml").read_text() == preset_text("demo")
    assert ran[0].folder == folder
    assert ran[0].phantoms == 12
    assert [method.trainer for method in ran[0].methods] == ["FemurUnetResNet34Trainer", "FemurScratchTrainer"]
    assert report.is_relative_to(folder)


def test_the_demo_of_another_size(tmp_path: Path, ran: list[Study]) -> None:
    run_demo(tmp_path, size=DemoSize(cases=7, epochs=1, iterations=2))
    assert ran[0].phantoms == 7
    plans = ran[0].plans["nnUNetPlans"]
    assert (plans["preset"], plans["epochs"], plans["iterations"]) == ("small", 1, 2)


def test_the_demo_continues_with_the_size_of_the_first_run(tmp_path: Path, ran: list[Study]) -> None:
    size = DemoSize(cases=7)
    run_demo(tmp_path, size=size)
    run_demo(tmp_path, size=size)
    run_demo(tmp_path)
    assert [study.phantoms for study in ran] == [7, 7, 7]
    with refused("exists", "study.yaml"):
        run_demo(tmp_path, size=DemoSize(cases=8))


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    with refused("cannot-write", file):
        run_demo(file)
    with refused("cannot-write", file / "study.yaml"):
        write_preset(file / "study.yaml", "quick")
