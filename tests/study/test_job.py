"""One job: its log, its status, its result, and its GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.study.job import find_device, one_gpu, run_job, run_named
from nnunet_femur.study.job_records import Records
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.study_file import Study

MAKE = "import pathlib, sys; pathlib.Path({!r}).touch(); "


@pytest.fixture
def run(study: Study, python_job: Callable[..., Job]) -> Callable[..., tuple[Job, int]]:
    def run(code: str, **changes: Any) -> tuple[Job, int]:
        job = python_job(code, **changes)
        return job, run_job(job, study, {**os.environ, "PYTHONIOENCODING": "utf-8"})

    return run


class TestRun:
    def test_output_goes_to_the_log_below_the_command(self, study: Study, run, tmp_path: Path) -> None:
        code = MAKE.format(str(tmp_path / "made")) + "print('Epoch 3'); print('ümlaut', file=sys.stderr)"
        job, status = run(code)
        assert status == 0
        lines = Records(study.records).log(job).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# 20")
        assert lines[1].startswith(f"$ {sys.executable} -c")
        assert set(lines[2:]) == {"Epoch 3", "ümlaut"}

    def test_a_job_that_is_done_has_a_status_and_a_record(self, study: Study, run, tmp_path: Path) -> None:
        job, _ = run(MAKE.format(str(tmp_path / "made")) + "print('Epoch 3')")
        records = Records(study.records)
        status = records.status(job)
        assert (status.state, status.news) == ("done", "Epoch 3")
        assert status.peak_memory_mib > 0
        assert records.done(job).exists()
        assert records.outdated([job]) == {}

    def test_a_job_that_failed_has_a_status_and_no_record(self, study: Study, run) -> None:
        job, code = run("raise SystemExit(3)")
        assert code == 3
        assert Records(study.records).status(job).state == "failed"
        assert not Records(study.records).done(job).exists()

    def test_a_command_without_a_result_failed(self, study: Study, run, tmp_path: Path) -> None:
        job, code = run("pass")
        assert code == 1
        assert str(tmp_path / "made") in Records(study.records).status(job).reason
        assert str(tmp_path / "made") in Records(study.records).log(job).read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("output", "reason"),
        [
            ("working\\nerror: nnUNet_raw is not set.\\nbye", "error: nnUNet_raw is not set."),
            ("Traceback\\n  File x\\nValueError: too small", "ValueError: too small"),
            ("some words\\n", "some words"),
            ("", "no output"),
        ],
    )
    def test_the_reason_of_a_failure_is_an_error_of_the_output(
        self, study: Study, run, output: str, reason: str
    ) -> None:
        run("print('ValueError: of an earlier run'); raise SystemExit(3)")
        job, _ = run(f"print('{output}'); raise SystemExit(1)")
        assert Records(study.records).status(job).reason == reason

    def test_a_full_gpu_is_the_reason_of_a_failure(self, study: Study, run) -> None:
        job, _ = run("print('torch.OutOfMemoryError: CUDA out of memory. Tried'); raise SystemExit(1)")
        assert "GPU" in Records(study.records).status(job).reason

    def test_logs_of_earlier_runs_are_kept(self, study: Study, run) -> None:
        run("print('first')")
        job, _ = run("print('second')")
        log = Records(study.records).log(job).read_text(encoding="utf-8")
        assert log.index("first") < log.index("second")


def training_in(model: Path) -> tuple[str, dict[str, Any]]:
    """Return code that writes its options into a final checkpoint, and the fields of its job."""
    code = (
        f"import pathlib, sys; p = pathlib.Path({str(model)!r}); p.mkdir(exist_ok=True); "
        "(p / 'checkpoint_final.pth').write_text(' '.join(sys.argv[1:]))"
    )
    return code, {"made": model / "checkpoint_final.pth", "model": model, "resumes": "checkpoint_*.pth"}


class TestResults:
    def test_appear_whole(self, run, tmp_path: Path) -> None:
        partial, made = tmp_path / "part", tmp_path / "made"
        partial.mkdir()
        (partial / "of an earlier run").touch()
        write = f"import pathlib; p = pathlib.Path({str(partial)!r}); p.mkdir(); (p / 'new').touch(); "
        run(write + "raise SystemExit(1)", partial=partial)
        assert not made.exists()
        run(write, partial=partial)
        assert [path.name for path in made.iterdir()] == ["new"]
        assert not partial.exists()

    def test_a_started_training_is_resumed(self, study: Study, run, tmp_path: Path) -> None:
        model = tmp_path / "fold_0"
        model.mkdir()
        code = f"import pathlib, sys; (pathlib.Path({str(model)!r}) / 'final').write_text(' '.join(sys.argv[1:]))"
        job, _ = run(code, made=model / "final", model=model, resumes="checkpoint_*.pth")
        assert job.made.read_text() == "", "there was nothing to continue"
        (model / "checkpoint_latest.pth").touch()
        run(code, made=model / "final", model=model, resumes="checkpoint_*.pth")
        assert job.made.read_text() == "--c"

    def test_a_network_of_other_settings_is_moved_to_replaced(self, study: Study, run, tmp_path: Path) -> None:
        model = tmp_path / "fold_0"
        code, changes = training_in(model)
        run(code, **changes, settings={"epochs": 3})
        run(code, **changes, settings={"epochs": 3})
        assert (model / "checkpoint_final.pth").read_text() == "--c"
        run(code, **changes, settings={"epochs": 4})
        assert (model / "checkpoint_final.pth").read_text() == "", "starts from scratch"
        aside = list((study.records / "replaced").glob("x-*/checkpoint_final.pth"))
        assert [file.read_text() for file in aside] == ["--c"]

    def test_a_training_with_more_epochs_continues(self, study: Study, run, tmp_path: Path) -> None:
        model = tmp_path / "fold_0"
        code, changes = training_in(model)
        changes["trainer"] = "FemurUnetResNet34Trainer"
        job, _ = run(code, **changes, settings={"recipe": {"epochs": 3}})
        longer = replace(job, settings={"recipe": {"epochs": 4}})
        assert Records(study.records).outdated([longer]) == {job.name: "recipe.epochs was 3, is 4"}
        run(code, **changes, settings=longer.settings)
        assert (model / "checkpoint_final.pth").read_text() == "--c"
        assert not (study.records / "replaced").exists()

    def test_a_training_is_done_if_only_others_have_another_recipe(self, study: Study, run, tmp_path: Path) -> None:
        made, trainer = tmp_path / "made", "FemurScratchTrainer"
        job, _ = run(MAKE.format(str(made)), made=made, trainer=trainer, settings={"shared recipe": {}})
        changed = replace(job, settings={"shared recipe": {"slice": {"epochs": 4}}})
        assert Records(study.records).outdated([changed]) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_ended_takes_its_command_with_it(write: Callable[..., Path], tmp_path: Path, by: int) -> None:
    """The command of the job changes a file until it is ended."""
    beat = tmp_path / "beat"
    forever = f"import time, pathlib\nwhile True: pathlib.Path({str(beat)!r}).touch(); time.sleep(0.02)"
    code = (
        "import sys; from pathlib import Path\n"
        "from nnunet_femur.cli import study_job; from nnunet_femur.study import job\n"
        "from nnunet_femur.study.commands import Job\n"
        f"beats = Job('phantoms', '', (sys.executable, '-c', {forever!r}), Path('x'), {{}})\n"
        "job.jobs_of = lambda study, device: {'phantoms': beats}\n"
        f"study_job.main([{str(write())!r}, 'phantoms'])"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not beat.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(by)
    time.sleep(0.2)
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    assert beat.stat().st_mtime_ns == last


class TestGpu:
    @pytest.mark.parametrize("visible", [None, "3,5"])
    def test_two_jobs_get_two(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with one_gpu(2, tmp_path) as first, one_gpu(2, tmp_path) as second:
            got = [each["CUDA_VISIBLE_DEVICES"] for each in (first, second)]
        assert got == (["3", "5"] if visible else ["0", "1"])
        with one_gpu(2, tmp_path) as again:
            assert again == first

    def test_a_job_waits_for_a_free_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        waited = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            raise InterruptedError

        monkeypatch.setattr("nnunet_femur.study.job.time.sleep", sleep)
        with one_gpu(1, tmp_path), pytest.raises(InterruptedError), one_gpu(1, tmp_path):
            pass
        assert waited == [1]

    def test_without_gpus_no_lock_is_held(self, tmp_path: Path) -> None:
        with one_gpu(0, tmp_path) as variables:
            assert variables == {}
        assert not list(tmp_path.iterdir())

    def test_cpus_are_found_without_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: None)
        monkeypatch.setattr("sys.platform", "linux")
        assert find_device("auto") == find_device("cpu") == ("cpu", 0)

    def test_locks_are_for_all_users(self, tmp_path: Path) -> None:
        with one_gpu(1, tmp_path):
            (lock,) = tmp_path.iterdir()
            assert sys.platform == "win32" or lock.stat().st_mode & 0o666 == 0o666
        assert not list(tmp_path.iterdir())


def test_a_name_that_no_job_has(write: Callable[..., Path]) -> None:
    with refused("invalid-option", "plan-x"):
        run_named(write(), "plan-x")
