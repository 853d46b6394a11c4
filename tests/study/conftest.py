"""Studies in files, and jobs that are nothing but a line of Python."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nnunet_femur.study.jobs import Job
from nnunet_femur.study.study_file import read_study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study

CONTENT: dict[str, Any] = {
    "folder": "work",
    "dataset": {"phantoms": 8},
    "plans": {"nnUNetPlans": {"preset": "small"}},
    "folds": [0, 1],
    "methods": ["FemurUnetResNet34Trainer", {"trainer": "FemurScratchTrainer", "recipe": {"epochs": 3}}],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a study's file; arguments replace parts of :data:`CONTENT`, None leaves them out."""

    def write(**changes: Any) -> Path:
        file = tmp_path / "study.yaml"
        content = {key: value for key, value in {**CONTENT, **changes}.items() if value is not None}
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return file

    return write


@pytest.fixture
def study(write: Callable[..., Path]) -> Study:
    return read_study(write())


@pytest.fixture
def python_job(tmp_path: Path) -> Callable[..., Job]:
    """A job whose command is Python code."""

    def make(code: str, **changes: Any) -> Job:
        made = tmp_path / "made"
        given = {"stage": "train", "label": "x", "made": made, "settings": {"epochs": 3}, **changes}
        return Job(command=(sys.executable, "-c", code), **given)

    return make
