"""Presets: each can run as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import PRESETS, read_study, write_preset
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.presets import run_demo
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


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    with refused("cannot-write", file):
        run_demo(file)
    with refused("cannot-write", file / "study.yaml"):
        write_preset(file / "study.yaml", "quick")
