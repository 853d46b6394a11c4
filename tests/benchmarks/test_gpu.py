"""The run on a GPU: its steps, its study, its tables, and a chunk of it on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import gpu
import gpu_tables
import pytest
from marked_tables import read_results, write_results

from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study

REPOSITORY = Path(__file__).parents[2]


def _options(**changes: Any) -> Namespace:
    given = {"tiny": False, "source": None, "device": "cuda", "workers": 8, "only": None, **changes}
    return Namespace(**given)


class TestSteps:
    @pytest.mark.parametrize("tiny", [False, True])
    def test_each_comes_after_those_that_it_needs(self, tiny: bool, tmp_path: Path) -> None:
        steps = gpu.all_steps(tmp_path, _options(tiny=tiny), dummy=True)
        seen: set[str] = set()
        for step in steps:
            assert set(step.after) <= seen, step.name
            assert step.name not in seen
            seen.add(step.name)
        assert {"true-size", "training-data", "weights", "source", "study"} <= seen
        assert [step.name for step in steps if step.resumable] == ["true-size", "study"]

    def test_data_and_weights_that_exist_are_not_made(self, tmp_path: Path) -> None:
        steps = gpu.all_steps(tmp_path, _options(source=tmp_path), dummy=False)
        assert {"weights", "source"}.isdisjoint(step.name for step in steps)
        assert steps[-1].after == ()

    def test_every_trainer_exists(self) -> None:
        assert set(gpu.TRAINERS) <= set(TRAINERS)

    def test_a_part_of_them(self, tmp_path: Path) -> None:
        steps = gpu.all_steps(tmp_path, _options(), dummy=True)
        chosen = gpu._chosen(steps, ["training-FemurUnet"])
        assert len(chosen) == 8
        assert all(step.after == () for step in chosen)


class TestStudy:
    def test_all_methods_of_the_study_and_ours_on_the_fixed_split(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """13 trainings and TotalSegmentator itself are the study's fourteen methods; three are ours."""
        # It asks the internet for the encoders' weights.
        monkeypatch.setattr(gpu, "_has_encoders", lambda: True)
        (tmp_path / "drop").mkdir()
        gpu.write_study(tmp_path, _options(source=tmp_path / "drop"))
        study = read_study(tmp_path / "study.yaml")
        assert len({method.name for method in study.methods}) == 13 + len(gpu.OURS)
        assert study.baseline == ("1.5mm",)
        trainings = [job for job in jobs_of(study, device="cuda").values() if job.stage == "train"]
        assert len(trainings) == 16
        assert all(job.label.endswith("fold_5") for job in trainings)
        assert study.folder == tmp_path / "study"

    def test_an_edited_file_is_kept(self, tmp_path: Path) -> None:
        gpu.write_study(tmp_path, _options(tiny=True, device="cpu"))
        before = (tmp_path / "study.yaml").read_text()
        (tmp_path / "study.yaml").write_text(before + "# edited\n")
        gpu.write_study(tmp_path, _options(tiny=True, device="cpu"))
        assert (tmp_path / "study.yaml").read_text() == before + "# edited\n"


class TestTables:
    def test_the_pages_have_the_markers(self) -> None:
        for name, page in gpu_tables.PAGES.items():
            text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
            assert text.count(f"<!-- begin {name} -->\n") == text.count(f"<!-- end {name} -->\n") == 1

    def test_pages_and_summary_get_what_was_measured(self, tmp_path: Path) -> None:
        docs, results = tmp_path / "docs", tmp_path / "results"
        docs.mkdir()
        results.mkdir()
        for page in set(gpu_tables.PAGES.values()):
            marked = [name for name, each in gpu_tables.PAGES.items() if each == page]
            text = "\n".join(f"<!-- begin {name} -->\nNot run yet.\n<!-- end {name} -->" for name in marked)
            (docs / page).write_text(text + "\n")
        for name, bare, ours in (("A", 100.0, 104.0), ("B", 20.0, 30.0)):
            row = {"trainer": name, "bare_ms": bare, "step_ms": ours, "step_ratio": ours / bare}
            write_results(results / f"training-{name}.json", "training", [row])
        ways = ((gpu_tables.BASE, 0.4), ("torch, float16", 0.1))
        rows = [
            {"way": way, "window_s": s, "made_s": 0.0, "largest": 0.01, "mean": 1e-4, "otherwise": 0.0}
            for way, s in ways
        ]
        write_results(results / "backends.json", "backends", rows, patch=128, rounds=5)
        made = gpu_tables.write_tables(tmp_path, {"a": {"status": "done"}}, ["Data: none."], docs)
        assert made == ["backends-gpu", "training-gpu"]
        page = (docs / "performance.md").read_text()
        assert "| A | 100 | 104 | 1.04 |" in page
        assert "| B | 20 | 30 | 1.5 |" in page
        assert "| torch, float16 | 0.1 | 4.00 | 0 | 1.0e-02 | 1.0e-04 | 0.0e+00 |" in page
        assert page.count("Not run yet.") == sum(each == "performance.md" for each in gpu_tables.PAGES.values()) - 2
        summary = read_results(tmp_path / gpu_tables.SUMMARY)
        assert [row["trainer"] for row in summary["results"]["training"]["rows"]] == ["A", "B"]
        assert summary["steps"] == {"a": {"status": "done"}}

    def test_the_study_with_time_and_memory_of_its_stages(self, tmp_path: Path) -> None:
        comparison, done = tmp_path / "nnUNet_results" / "comparison", tmp_path / "study" / "done"
        for folder in (comparison / "tables", done):
            folder.mkdir(parents=True)
        assert gpu_tables.study_tables(tmp_path, []) is None
        (comparison / "report.html").touch()
        (comparison / "tables" / "table1_test.md").write_text("TABLE ONE\n")
        for name, seconds in (("train-a", 60), ("train-b", 120), ("compare", 30)):
            (done / f"{name}.json").write_text(json.dumps({"seconds": seconds, "peak_memory_mib": 512}))
        text = gpu_tables.study_tables(tmp_path, ["Data: phantoms."])
        assert text is not None
        assert "| `train` | 2 | 3 | 0.5 |" in text
        assert "**Table 1: 2D scores, whole femur**\n\nTABLE ONE" in text
        assert "- Data: phantoms." in text


@pytest.mark.integration
def test_a_chunk_on_the_cpu(planned: Path, tmp_path: Path) -> None:
    """One trainer's benchmark in its own process; the second call finds it done."""
    data = tmp_path / "training" / "tiny"
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        shutil.copytree(planned / name, data / name)
    plans = ["Dataset001_Femur", "nnUNetPlans"]
    (data / "training_data.json").write_text(json.dumps({"slices": plans, "volumes": plans}))
    trainer = "FemurUnetMobileNetV3Trainer"
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "gpu.py"), "--folder", str(tmp_path), "--tiny"]
    command += ["--only", f"training-{trainer}"]
    for _ in range(2):
        ended = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ})
        log = tmp_path / "logs" / f"training-{trainer}.log"
        assert ended.returncode == 0, ended.stdout + ended.stderr + log.read_text()
    assert log.read_text().count("$ ") == 1
    (row,) = read_results(tmp_path / "gpu.json")["results"]["training"]["rows"]
    assert row["trainer"] == trainer
    assert row["step_ratio"] == pytest.approx(row["step_ms"] / row["bare_ms"])
    assert row["epoch_s_ours"] > 0
    assert f"| {trainer} |" in (tmp_path / "tables" / "training-gpu.md").read_text()
