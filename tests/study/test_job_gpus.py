"""Each job gets a GPU of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study.job import find_device, one_gpu

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("visible", [None, "3,5"])
def test_two_jobs_do_not_meet_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with one_gpu(2, tmp_path) as first, one_gpu(2, tmp_path) as second:
        got = [each["CUDA_VISIBLE_DEVICES"] for each in (first, second)]
    assert got == (["3", "5"] if visible else ["0", "1"])
    with one_gpu(2, tmp_path) as again:
        assert again == first


def test_a_third_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        raise InterruptedError

    monkeypatch.setattr("nnunet_femur.study.job.time.sleep", sleep)
    with one_gpu(1, tmp_path), pytest.raises(InterruptedError), one_gpu(1, tmp_path):
        pass
    assert waited == [1]


def test_without_gpus_nothing_is_held(tmp_path: Path) -> None:
    with one_gpu(0, tmp_path) as variables:
        assert variables == {}
    assert not list(tmp_path.iterdir())


def test_processors_are_found_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("sys.platform", "linux")
    assert find_device("auto") == find_device("cpu") == ("cpu", 0)
