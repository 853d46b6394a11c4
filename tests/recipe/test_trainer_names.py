"""The table of trainers, and the names of other trainers read from source files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.recipe.trainer_names import TRAINERS, known_trainers, stock_trainers, user_trainers

if TYPE_CHECKING:
    from pathlib import Path


def test_stock_trainers_are_those_of_nnunet() -> None:
    assert {"nnUNetTrainer", "nnUNetTrainerNoMirroring"} <= stock_trainers()
    assert not stock_trainers() & TRAINERS.keys()


def test_user_trainers_are_read_from_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.py").write_text("class MyTrainer(nnUNetTrainer):\n    class Inner:\n        pass\n")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe class Other:")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    assert user_trainers() == {"MyTrainer"}
    assert {"MyTrainer", "nnUNetTrainer", *TRAINERS} <= known_trainers()


def test_the_table_loads_neither_pydantic_nor_torch() -> None:
    """The comparison reads it for each method."""
    code = "import sys, nnunet_femur.recipe.trainer_names; print(sorted({'pydantic', 'torch'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"


@pytest.mark.integration
def test_the_table_is_that_of_the_classes() -> None:
    from nnunet_femur import trainers
    from nnunet_femur.recipe.recipe_checks import RECIPES
    from nnunet_femur.training.slices.slice_trainer import SliceTrainer

    classes = {name: getattr(trainers, name) for name in trainers.__all__}
    assert {name: one.recipe_class for name, one in classes.items()} == RECIPES
    assert {name: issubclass(one, SliceTrainer) for name, one in classes.items()} == {
        name: traits.in_slices for name, traits in TRAINERS.items()
    }
    assert {name: one.ends_only for name, one in classes.items()} == {
        name: traits.ends_only for name, traits in TRAINERS.items()
    }
