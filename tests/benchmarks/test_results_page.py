"""The table of a study's stages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from results_page import stages_table

if TYPE_CHECKING:
    from pathlib import Path


def test_stages(tmp_path: Path) -> None:
    """Trainings count with all their runs, other jobs with the last one; memory is the largest of a stage."""
    jobs = {"train-a": (60, 1024), "train-b": (60, 2048), "predict-a": (30, 512), "predict-b": (60, None)}
    for name, (seconds, memory) in jobs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"seconds": seconds, "peak_memory_mib": memory}))
    rows = stages_table(tmp_path, train_minutes=7.25).splitlines()[2:]
    assert rows == ["| `train` | 2 | 7.2 | 2.0 |", "| `predict` | 2 | 1.5 | 0.5 |"]
