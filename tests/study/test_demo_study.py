"""`nnfemur demo`: a preset of a study, written and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import Study, StudyResult, preset_text, read_study
from nnunet_femur.study import presets as demo
from nnunet_femur.study.presets import DemoSize, run_demo
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Study]:
    """The studies that were run; running them for real is what tests/study does."""
    studies: list[Study] = []

    def run(file: Path, **_: object) -> StudyResult:
        studies.append(read_study(file))
        return StudyResult(studies[-1].results / "report.html")

    monkeypatch.setattr(demo, "run_study", run)
    return studies


def test_is_the_preset(tmp_path: Path, ran: list[Study]) -> None:
    folder = tmp_path / "new" / "demo"
    report = run_demo(folder).report
    assert (folder / "study.yaml").read_text() == preset_text("demo")
    assert ran[0].folder == folder
    assert ran[0].phantoms == 12
    assert [method.trainer for method in ran[0].methods] == ["FemurUnetResNet34Trainer", "FemurScratchTrainer"]
    assert report.is_relative_to(folder)


def test_of_another_size(tmp_path: Path, ran: list[Study]) -> None:
    run_demo(tmp_path, size=DemoSize(cases=7, epochs=1, iterations=2))
    assert ran[0].phantoms == 7
    plans = ran[0].plans["nnUNetPlans"]
    assert (plans["preset"], plans["epochs"], plans["iterations"]) == ("small", 1, 2)


def test_continues_with_the_size_of_the_first_run(tmp_path: Path, ran: list[Study]) -> None:
    size = DemoSize(cases=7)
    run_demo(tmp_path, size=size)
    run_demo(tmp_path, size=size)
    run_demo(tmp_path)
    assert [study.phantoms for study in ran] == [7, 7, 7]
    with refused("exists", "study.yaml"):
        run_demo(tmp_path, size=DemoSize(cases=8))
