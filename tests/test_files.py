"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
import zipfile

import pytest

from nnunet_femur.files import leads_out, read_json, write_json, write_text, written_beside


class TestWrittenBeside:
    def test_the_file_appears_at_the_end(self, tmp_path):
        target = tmp_path / "case.nii.gz"
        with written_beside(target, ending=".nii.gz") as partial:
            assert partial.name == ".case.partial.nii.gz"
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

    def test_leftovers_of_a_killed_run_are_written_over(self, tmp_path):
        (tmp_path / ".a.partial.txt").write_text("left behind, and longer")
        write_text(tmp_path / "a.txt", "new")
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
        assert (tmp_path / "a.txt").read_text() == "new"

    def test_a_name_without_ending(self, tmp_path):
        with written_beside(tmp_path / "README") as partial:
            partial.write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == ["README"]


def test_text_has_the_same_bytes_everywhere(tmp_path):
    write_text(tmp_path / "a.txt", "é\n±\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n\xc2\xb1\n"


def test_json_is_readable(tmp_path):
    write_json(tmp_path / "a.json", {"b": ["±", 1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": [\n    "±",\n    1\n  ]\n}\n'


def test_what_is_no_json_reads_as_nothing(tmp_path):
    (tmp_path / "a.json").write_text('{"half": ')
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "missing.json") is None
    write_json(tmp_path / "a.json", [1])
    assert read_json(tmp_path / "a.json") == [1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dataset294/fold_0/checkpoint_final.pth", False),
        ("a..b/c", False),
        ("../a", True),
        ("a/../../b", True),
        ("a\\..\\..\\b", True),
        ("/etc/passwd", True),
        ("\\server\\share", True),
        ("C:\\Windows", True),
        ("C:a", True),
        ("stream:a/b", True),
    ],
)
def test_what_leads_out_of_an_archive(name, expected):
    assert leads_out(zipfile.ZipInfo(name)) == expected


def test_links_in_archives_lead_out():
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert leads_out(link)


@pytest.mark.parametrize("name", ["müller.nrrd", os.fsdecode(b"m\xfcller.nrrd"), "\ud83d"])
def test_json_of_any_file_name(name, tmp_path):
    write_json(tmp_path / "names.json", {"names": [name]})
    assert read_json(tmp_path / "names.json") == {"names": [name]}
