"""A dataset with bad CTs: each is reported with its code, the others get their masks, and the record is correct."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.baselines import Settings, run_on_dataset, run_on_volume, worker
from nnunet_femur.baselines import baseline_record as record
from nnunet_femur.baselines import worker_process as process
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nnunet_femur.baselines.settings import Job

GOOD = ("a_good", "m_good", "z_good")


def _write(path: Path, array: np.ndarray, spacing: tuple[float, ...] = (6.0, 6.0, 6.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def _good() -> np.ndarray:
    array = np.full((5, 6, 7), -1000, np.int16)
    array[1:4, 2:4, 2:4] = 900
    return array


def _not_finite() -> np.ndarray:
    array = _good().astype(np.float32)
    array[0, 0, 0] = np.nan
    return array


def _not_a_volume(path: Path) -> None:
    path.write_text("no volume")


def _cut_short(path: Path) -> None:
    _write(path, np.random.default_rng(0).integers(-1000, 1000, (9, 9, 9), np.int16))
    path.write_bytes(path.read_bytes()[:-200])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "air": (lambda path: _write(path, np.full((5, 6, 7), -1000, np.int16)), "image-constant"),
    "cut_short": (_cut_short, "unreadable"),
    "folder": (lambda path: path.mkdir(), "unreadable"),
    "link": (lambda path: path.symlink_to("nowhere"), "unreadable"),
    "not_finite": (lambda path: _write(path, _not_finite()), "not-finite"),
    "not_hu": (lambda path: _write(path, ((_good() + 1000) / 2000).astype(np.float32)), "image-normalised"),
    "one_slice": (lambda path: _write(path, _good()[2:3], (6.0, 6.0, 60.0)), "too-thin"),
    "slab": (lambda path: _write(path, _good(), (1.0, 6.0, 1.0)), "too-thin"),
    "text": (_not_a_volume, "unreadable"),
    "two_thin_slices": (lambda path: _write(path, _good()[1:3], (6.0, 6.0, 0.4)), "too-thin"),
}
"""Writers of bad CTs, and the code of each problem."""


def _raw(base: Path, *cases: str, part: str = "imagesTs") -> Path:
    raw = base / "nnUNet_raw" / "Dataset001_Femur"
    for case in cases:
        _write(raw / part / f"{case}_0000.nrrd", _good())
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd"}))
    return raw


def _record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())["cases"]


@pytest.fixture
def method(base: Path) -> Path:
    return base / "nnUNet_results" / "Dataset001_Femur" / "TotalSegmentator__total__1.5mm"


class TestBadCts:
    def test_each_is_named_and_the_others_have_masks(self, base: Path, method: Path) -> None:
        raw = _raw(base, *GOOD)
        for case, (write, _) in BAD.items():
            write(raw / "imagesTs" / f"{case}_0000.nrrd")
        with refused("bad-cases") as raised:
            run_on_dataset(1, Settings())
        count, *problems = str(raised.value).splitlines()
        assert count.startswith(f"{len(BAD)} of {len(BAD) + len(GOOD)} ")
        assert {path.stem for path in (method / "test").iterdir()} == set(GOOD)
        known = _record(method)
        assert known.keys() == {*GOOD, *BAD}
        for case, (_, code) in BAD.items():
            # Each on one line of its own, with its file.
            assert known[case]["problem"] in problems
            assert f"{case}_0000.nrrd: " in known[case]["problem"]
            assert known[case]["code"] == code, known[case]["problem"]
            assert "mask_sha256" not in known[case]
            assert known[case]["volume_ml"] == 0
        for case in GOOD:
            assert known[case]["problem"] is None
            assert known[case]["volume_ml"] == pytest.approx(12 * 0.216, abs=0.005)  # written with two decimals

    @pytest.mark.parametrize("case", [case for case in BAD if case not in ("folder", "link")])
    def test_one_volume(self, case: str, base: Path) -> None:
        write, code = BAD[case]
        write(base / "ct.nrrd")
        with refused(code, base / "ct.nrrd"):
            run_on_volume(base / "ct.nrrd", base / "femur.nrrd", Settings())
        assert not (base / "femur.nrrd").exists()
        assert json.loads((base / "femur.run.json").read_text())["cases"]["femur.nrrd"]["problem"]

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
    def test_a_name_that_is_not_utf8(self, base: Path, method: Path) -> None:
        raw = _raw(base, *GOOD)
        name = os.fsdecode(b"m\xfcller_0000.nrrd")
        (raw / "imagesTs" / "a_good_0000.nrrd").rename(raw / "imagesTs" / name)
        with refused("unreadable", "1 of 3"):
            run_on_dataset(1, Settings())
        assert {path.stem for path in (method / "test").iterdir()} == {"m_good", "z_good"}
        assert _record(method)[os.fsdecode(b"m\xfcller")]["problem"]


class TestWhateverGoesWrong:
    @pytest.mark.parametrize(
        "error", [MemoryError(), OSError("disk"), SystemExit(1), RuntimeError("CUDA"), KeyError(1)]
    )
    def test_in_totalsegmentator(
        self, error: BaseException, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []

        def fail_once(ct: Any, **_: object) -> np.ndarray:
            calls.append(1)
            if len(calls) == 2:
                raise error
            return (ct.hu > 500).astype(np.uint8)

        monkeypatch.setattr(worker, "segment", fail_once)
        _raw(base, *GOOD)
        with refused("program-failed", "1 of 3"):
            run_on_dataset(1, Settings())
        assert {path.stem for path in (method / "test").iterdir()} == {"a_good", "z_good"}
        assert type(error).__name__ in _record(method)["m_good"]["problem"]

    def test_a_folder_in_the_masks_place(self, base: Path, method: Path) -> None:
        _raw(base, *GOOD)
        (method / "test" / "m_good.nrrd").mkdir(parents=True)
        with refused("cannot-write", "1 of 3", "m_good.nrrd"):
            run_on_dataset(1, Settings())
        assert {case for case, known in _record(method).items() if known["problem"] is None} == {"a_good", "z_good"}

    def test_a_mask_that_is_not_there_is_not_claimed(
        self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forgets_one(jobs: list[Job], *_: object) -> Iterator[dict[str, Any]]:
            for job in jobs:
                if job.case != "m_good":
                    _write(job.output, _good())
                yield {"case": job.case, "seconds": 1.0, "problem": None, "volume_ml": 1.0}

        monkeypatch.setattr(process, "_worker", forgets_one)
        _raw(base, *GOOD)
        with refused("program-failed", "1 of 3", "m_good.nrrd"):
            run_on_dataset(1, Settings())
        assert _record(method)["m_good"]["volume_ml"] == 0

    def test_a_ct_that_vanishes_meanwhile(self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = _raw(base, *GOOD)

        def removes(ct: Any, **_: object) -> np.ndarray:
            (raw / "imagesTs" / "a_good_0000.nrrd").unlink(missing_ok=True)
            return (ct.hu > 500).astype(np.uint8)

        monkeypatch.setattr(worker, "segment", removes)
        run_on_dataset(1, Settings())
        assert {path.stem for path in (method / "test").iterdir()} == set(GOOD)
        run_on_dataset(1, Settings())
        assert _record(method).keys() == {"m_good", "z_good"}

    def test_a_file_in_the_results_folders_place(self, base: Path, method: Path) -> None:
        _raw(base, *GOOD)
        method.parent.mkdir(parents=True)
        method.write_text("mine")
        with refused("cannot-write", method / "run.json"):
            run_on_dataset(1, Settings())
        assert method.read_text() == "mine"

    def test_a_record_that_cannot_be_written_meanwhile(
        self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a disk that is full for a while: all masks are made, and the next run believes its record only."""
        written = record.write_json

        def full(path: Path, content: dict[str, Any]) -> None:
            if "m_good" in content["cases"] and "z_good" not in content["cases"]:
                raise OSError(28, "No space left on device")
            written(path, content)

        monkeypatch.setattr(record, "write_json", full)
        _raw(base, *GOOD)
        with refused("cannot-write", method / "run.json"):
            run_on_dataset(1, Settings())
        assert {path.stem for path in (method / "test").iterdir()} == set(GOOD)
        assert _record(method).keys() == set(GOOD)


class TestRecord:
    def test_an_interrupted_rerun_claims_nothing_that_is_not_there(
        self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw = _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        _write(raw / "imagesTs" / "m_good_0000.nrrd", _good() + 1)

        def interrupted(*_: object) -> Iterator[dict[str, Any]]:
            raise KeyboardInterrupt
            yield {}

        monkeypatch.setattr(process, "_worker", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_on_dataset(1, Settings())
        assert {path.stem for path in (method / "test").iterdir()} == {"a_good", "z_good"}
        assert _record(method).keys() == {"a_good", "z_good"}

    def test_a_mask_that_was_changed_is_made_again(self, base: Path, method: Path) -> None:
        _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        mask = method / "test" / "a_good.nrrd"
        before = mask.read_bytes()
        _write(mask, np.ones((5, 6, 7), np.uint8))
        run_on_dataset(1, Settings())
        assert mask.read_bytes() == before

    def test_a_mask_among_the_slices_of_its_ct(self, base: Path, write_slices: Callable[..., Path]) -> None:
        folder = write_slices(base / "dicom", _good())
        run_on_volume(folder, folder / "femur.nrrd", Settings())
        before = (folder / "femur.nrrd").stat().st_mtime_ns
        run_on_volume(folder, folder / "femur.nrrd", Settings())
        assert (folder / "femur.nrrd").stat().st_mtime_ns == before
        write_slices(folder, _good() + 1)
        run_on_volume(folder, folder / "femur.nrrd", Settings())
        assert (folder / "femur.nrrd").stat().st_mtime_ns != before

    def test_a_record_of_the_version_before_is_believed(self, base: Path, method: Path) -> None:
        """It called dummy weights a stand-in."""
        _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        before = (method / "test" / "a_good.nrrd").stat().st_mtime_ns
        text = (method / "run.json").read_text()
        assert '"dummy": true' in text
        (method / "run.json").write_text(text.replace('"dummy":', '"stand_in":'))
        run_on_dataset(1, Settings())
        assert (method / "test" / "a_good.nrrd").stat().st_mtime_ns == before

    def test_a_record_without_checksums_is_believed(self, base: Path, method: Path) -> None:
        """As older versions wrote it."""
        _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        content = json.loads((method / "run.json").read_text())
        for known in content["cases"].values():
            del known["mask_sha256"]
        (method / "run.json").write_text(json.dumps(content))
        run_on_dataset(1, Settings())
        assert json.loads((method / "run.json").read_text()) == content

    @pytest.mark.parametrize("content", ["", "[]", '{"cases": []}', '{"cases": {"a_good": 1}}'])
    def test_a_damaged_record_is_written_anew(self, content: str, base: Path, method: Path) -> None:
        _raw(base, *GOOD)
        method.mkdir(parents=True)
        (method / "run.json").write_text(content)
        run_on_dataset(1, Settings())
        assert _record(method).keys() == set(GOOD)

    def test_the_same_name_for_training_and_test(self, base: Path, method: Path) -> None:
        _raw(base, "same", "other", part="imagesTr")
        _raw(base, "same")
        run_on_dataset(1, Settings())
        found = {str(path.relative_to(method)) for path in method.rglob("*.nrrd")}
        assert found == {"validation/same.nrrd", "validation/other.nrrd", "test/same.nrrd"}
        assert _record(method).keys() == {"same", "other", "test/same"}


class TestMasksOfOthers:
    """Path that `TotalSegmentator -i ct.nrrd` writes."""

    @pytest.fixture
    def typed(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        from nnunet_femur.baselines.launch import launch

        monkeypatch.chdir(base)
        _write(base / "ct.nrrd", _good())
        return lambda *options: launch(["-i", "ct.nrrd", "-d", "cpu", "-q", *options])

    def test_our_own_is_written_again(self, typed: Callable[..., int], base: Path) -> None:
        assert typed() == 0
        before = (base / "ct_femur.nrrd").stat().st_mtime_ns
        assert typed() == 0
        assert (base / "ct_femur.nrrd").stat().st_mtime_ns == before
        assert typed("--fast") == 0
        assert (base / "ct_femur.nrrd").stat().st_mtime_ns != before
        assert {path.name for path in base.glob("ct*")} == {"ct.nrrd", "ct_femur.nrrd", "ct_femur.run.json"}

    def test_one_that_was_corrected_by_hand_stays(self, typed: Callable[..., int], base: Path) -> None:
        assert typed() == 0
        _write(base / "ct_femur.nrrd", np.ones((5, 6, 7), np.uint8))
        corrected = (base / "ct_femur.nrrd").read_bytes()
        for options in ((), ("--fast",)):
            with refused("exists", "ct_femur.nrrd"):
                typed(*options)
        assert (base / "ct_femur.nrrd").read_bytes() == corrected

    def test_after_a_failure(self, typed: Callable[..., int], base: Path) -> None:
        _write(base / "ct.nrrd", np.full((5, 6, 7), -1000, np.int16))
        with refused("image-constant", "ct.nrrd"):
            typed()
        _write(base / "ct.nrrd", _good())
        assert typed() == 0
        assert {path.name for path in base.glob("ct*")} == {"ct.nrrd", "ct_femur.nrrd", "ct_femur.run.json"}


class TestProcessMessages:
    @pytest.mark.parametrize(
        "line", ["no news\n", f"{worker.MARK}{{broken\n", f"{worker.MARK}[]\n", f"{worker.MARK}{{}}\n"]
    )
    def test_other_lines(self, line: str) -> None:
        assert process._message(line) is None

    def test_news(self) -> None:
        assert process._message(f'{worker.MARK}{{"begins": "a"}}\n') == {"begins": "a"}

    def test_a_process_that_ends_between_two_cases(
        self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        starts = []

        def one_each(jobs: list[Job], settings: Settings, *_: object) -> Iterator[dict[str, Any]]:
            starts.append([job.case for job in jobs])
            yield {"begins": jobs[0].case}
            yield worker._run(jobs[0], asdict(settings)).as_dict()

        monkeypatch.setattr(process, "_worker", one_each)
        _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        assert starts == [["a_good", "m_good", "z_good"], ["m_good", "z_good"], ["z_good"]]
        assert _record(method).keys() == set(GOOD)

    def test_news_of_no_case(self, base: Path, method: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def strange(jobs: list[Job], settings: Settings, *_: object) -> Iterator[dict[str, Any]]:
            for job in jobs:
                yield {"begins": "nobody"}
                yield {"case": "nobody", "seconds": 1.0, "problem": None, "volume_ml": 1.0}
                yield worker._run(job, asdict(settings)).as_dict()

        monkeypatch.setattr(process, "_worker", strange)
        _raw(base, *GOOD)
        run_on_dataset(1, Settings())
        assert _record(method).keys() == set(GOOD)
