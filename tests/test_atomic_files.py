"""Written files are complete, or not there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from nnunet_femur import atomic_files as files
from nnunet_femur.atomic_files import rename_flushed, write_json, write_text, written_beside
from nnunet_femur.records import read_json


class TestWrittenBeside:
    def test_the_file_appears_at_the_end(self, tmp_path):
        target = tmp_path / "case.nii.gz"
        with written_beside(target, ending=".nii.gz") as partial:
            assert partial.name.startswith(".case.")
            assert partial.name.endswith(".partial.nii.gz")
            partial.write_text("whole")
            assert not target.exists()
        assert target.read_text() == "whole"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_failure_leaves_the_old_file(self, tmp_path):
        target = tmp_path / "scores.csv"
        target.write_text("old")
        with pytest.raises(KeyboardInterrupt), written_beside(target) as partial:  # noqa: PT012
            partial.write_text("half")
            raise KeyboardInterrupt
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_two_writers_at_once(self, tmp_path):
        target = tmp_path / "a.txt"
        with written_beside(target) as first:
            with written_beside(target) as second:
                first.write_text("first")
                second.write_text("second")
            assert target.read_text() == "second"
        assert target.read_text() == "first"
        assert list(tmp_path.iterdir()) == [target]

    def test_the_longest_name(self, tmp_path):
        target = tmp_path / ("ü" * 125 + ".txt")
        write_text(target, "x")
        assert list(tmp_path.iterdir()) == [target]

    def test_a_name_without_ending(self, tmp_path):
        with written_beside(tmp_path / "README") as partial:
            partial.write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == ["README"]


class TestLeftovers:
    """Each test uses a separate folder, because a process searches each folder once."""

    @pytest.fixture
    def ended(self) -> int:
        """Return the id of a process that has ended."""
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            process.wait()
        return process.pid

    def test_of_processes_that_have_ended(self, tmp_path, ended):
        running, dead = (tmp_path / f".b.{files._machine()}-{pid}-0.partial.nrrd" for pid in (os.getpid(), ended))
        elsewhere = tmp_path / f".b.01234567-{ended}-0.partial.nrrd"
        mine = tmp_path / ".something.partial.nrrd"
        for path in (running, dead, elsewhere, mine):
            path.touch()
        write_text(tmp_path / "a.txt", "new")
        assert set(tmp_path.iterdir()) == {tmp_path / "a.txt", running, elsewhere, mine}

    def test_of_other_machines_after_a_day(self, tmp_path):
        for hours in (23, 25):
            path = tmp_path / f".b{hours}.01234567-1-0.partial"
            path.touch()
            os.utime(path, (time.time() - hours * 3600,) * 2)
        write_text(tmp_path / "a.txt", "new")
        assert {path.name for path in tmp_path.iterdir()} == {"a.txt", ".b23.01234567-1-0.partial"}

    def test_of_earlier_versions_after_a_day(self, tmp_path):
        fixed = tmp_path / ".a.partial.txt"
        fixed.touch()
        write_text(tmp_path / "a.txt", "new")
        assert fixed.exists()
        os.utime(fixed, (0, 0))
        write_text(tmp_path / "a.txt", "new")
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_of_a_process_that_was_killed(self, tmp_path):
        code = (
            "import os, sys, pathlib; from nnunet_femur.atomic_files import written_beside\n"
            "with written_beside(pathlib.Path(sys.argv[1]) / 'a.txt') as partial:\n"
            "    partial.write_text('half'); os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        (left,) = tmp_path.iterdir()
        assert left.name.startswith(".a.")
        write_text(tmp_path / "a.txt", "whole")
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


class TestDurable:
    @pytest.fixture
    def flushed(self, monkeypatch) -> list:
        """For each flush of a folder its name; for one of a file, the names in its folder by then."""
        if sys.platform != "linux":
            pytest.skip("asks Linux for the file behind a descriptor")
        seen = []

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            seen.append(path.name if path.is_dir() else sorted(each.name for each in path.parent.iterdir()))

        monkeypatch.setattr(os, "fsync", fsync)
        return seen

    def test_the_file_before_its_name_and_the_folder_after_it(self, tmp_path, flushed):
        write_text(tmp_path / "a.txt", "x")
        (before,), folder = flushed
        assert before.endswith(".partial.txt")
        assert folder == tmp_path.name
        write_text(tmp_path / "a.txt", "x", durable=False)
        assert len(flushed) == 2

    def test_a_folder_with_all_its_files_before_its_name(self, tmp_path, flushed):
        (tmp_path / "new" / "below").mkdir(parents=True)
        (tmp_path / "new" / "below" / "a").touch()
        (tmp_path / "new" / "c").touch()
        rename_flushed(tmp_path / "new", tmp_path / "there")
        assert sorted(flushed[:2]) == [["a"], ["below", "c"]]
        assert flushed[2:] == ["below", "new", tmp_path.name]
        assert (tmp_path / "there" / "below" / "a").exists()

    @pytest.mark.parametrize(("number", "kept"), [(errno.EINVAL, "new"), (errno.EIO, "old")])
    def test_disks_that_fail_and_disks_that_cannot(self, tmp_path, monkeypatch, number, kept):
        (tmp_path / "a.txt").write_text("old")

        def fsync(_descriptor: int) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="no") if kept == "old" else nullcontext():
            write_text(tmp_path / "a.txt", "new")
        assert (tmp_path / "a.txt").read_text() == kept
        assert len(list(tmp_path.iterdir())) == 1


def test_text_has_the_same_bytes_everywhere(tmp_path):
    write_text(tmp_path / "a.txt", "é\n±\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n\xc2\xb1\n"


def test_json_is_readable(tmp_path):
    write_json(tmp_path / "a.json", {"b": ["±", 1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": [\n    "±",\n    1\n  ]\n}\n'


def test_invalid_json_is_read_as_none(tmp_path):
    (tmp_path / "a.json").write_text('{"half": ')
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "missing.json") is None
    write_json(tmp_path / "a.json", [1])
    assert read_json(tmp_path / "a.json") == [1]


@pytest.mark.parametrize("name", ["müller.nrrd", os.fsdecode(b"m\xfcller.nrrd"), "\ud83d"])
def test_json_of_any_file_name(name, tmp_path):
    write_json(tmp_path / "names.json", {"names": [name]})
    assert read_json(tmp_path / "names.json") == {"names": [name]}
