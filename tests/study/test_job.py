"""One job: its log, its status, what it leaves when it fails or is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.study.job import run_job
from nnunet_femur.study.job_records import Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study
    from nnunet_femur.study.jobs import Job

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

    def test_a_job_that_is_done_says_so(self, study: Study, run, tmp_path: Path) -> None:
        job, _ = run(MAKE.format(str(tmp_path / "made")) + "print('Epoch 3')")
        records = Records(study.records)
        status = records.status(job)
        assert (status.state, status.news) == ("done", "Epoch 3")
        assert status.peak_memory_mib > 0
        assert records.done(job).exists()
        assert records.due([job]) == {}

    def test_a_job_that_failed_says_so(self, study: Study, run) -> None:
        job, code = run("raise SystemExit(3)")
        assert code == 3
        assert Records(study.records).status(job).state == "failed"
        assert not Records(study.records).done(job).exists()

    def test_a_command_that_made_nothing_failed(self, study: Study, run, tmp_path: Path) -> None:
        job, code = run("pass")
        assert code == 1
        assert f"there is no {tmp_path / 'made'}" in Records(study.records).log(job).read_text(encoding="utf-8")

    def test_logs_of_earlier_runs_are_kept(self, study: Study, run) -> None:
        run("print('first')")
        job, _ = run("print('second')")
        log = Records(study.records).log(job).read_text(encoding="utf-8")
        assert log.index("first") < log.index("second")


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
        assert job.made.read_text() == "", "there was nothing to go on from"
        (model / "checkpoint_latest.pth").touch()
        run(code, made=model / "final", model=model, resumes="checkpoint_*.pth")
        assert job.made.read_text() == "--c"

    def test_a_network_of_other_settings_is_put_aside(self, study: Study, run, tmp_path: Path) -> None:
        model = tmp_path / "fold_0"
        code = (
            f"import pathlib, sys; p = pathlib.Path({str(model)!r}); p.mkdir(exist_ok=True); "
            "(p / 'checkpoint_final.pth').write_text(' '.join(sys.argv[1:]))"
        )
        changes = {"made": model / "checkpoint_final.pth", "model": model, "resumes": "checkpoint_*.pth"}
        run(code, **changes, settings={"epochs": 3})
        run(code, **changes, settings={"epochs": 3})
        assert (model / "checkpoint_final.pth").read_text() == "--c"
        run(code, **changes, settings={"epochs": 4})
        assert (model / "checkpoint_final.pth").read_text() == "", "starts anew"
        aside = list((study.records / "replaced").glob("x-*/checkpoint_final.pth"))
        assert [file.read_text() for file in aside] == ["--c"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_ended_takes_its_command_with_it(write: Callable[..., Path], tmp_path: Path, by: int) -> None:
    """The job as a process, its command replaced by one that beats for ever."""
    beat = tmp_path / "beat"
    forever = f"import time, pathlib\nwhile True: pathlib.Path({str(beat)!r}).touch(); time.sleep(0.02)"
    code = (
        "import sys; from pathlib import Path\n"
        "from nnunet_femur.cli import study_job; from nnunet_femur.study import job\n"
        "from nnunet_femur.study.jobs import Job\n"
        f"beats = Job('phantoms', '', (sys.executable, '-c', {forever!r}), Path('x'), {{}})\n"
        "job.jobs_of = lambda study, device: {'phantoms': beats}\n"
        f"study_job.main([{str(write())!r}, 'phantoms'])"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        until = time.monotonic() + 30
        while not beat.exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(by)
    time.sleep(0.2)
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    assert beat.stat().st_mtime_ns == last
