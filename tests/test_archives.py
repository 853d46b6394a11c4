"""Zip archives are unpacked whole and safely, or refused."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from nnunet_femur import archives
from nnunet_femur.archives import archive_files, leads_out, unpack
from tests.refusing import refused

FILES = {"model/plans.json": b"{}", "model/fold_0/checkpoint.pth": b"weights " * 100, "notes.txt": b"text"}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.mkdir("model")
        for name, content in FILES.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "unpacked"
    made.mkdir()
    return made


def _add(path: Path, member: str | zipfile.ZipInfo, content: str = "x") -> None:
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(member, content)


def _unpacked(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_unpacks_all_files(archive: Path, folder: Path) -> None:
    written = unpack(archive, folder)
    assert written == [folder / name for name in FILES]
    assert _unpacked(folder) == FILES


def test_unpacks_chosen_files_to_other_places(archive: Path, folder: Path) -> None:
    def place(file: PurePosixPath) -> PurePosixPath | None:
        return file.relative_to("model") if file.parts[0] == "model" else None

    unpack(archive, folder, place=place)
    assert _unpacked(folder) == {name.removeprefix("model/"): FILES[name] for name in list(FILES)[:2]}


def test_lists_files(archive: Path) -> None:
    assert archive_files(archive) == [PurePosixPath(name) for name in FILES]


def test_backslashes_separate_folders(archive: Path, folder: Path) -> None:
    member = zipfile.ZipInfo("a")
    member.filename = "windows\\a.json"
    _add(archive, member)
    unpack(archive, folder)
    assert (folder / "windows" / "a.json").is_file()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_paths_that_lead_out_are_refused(archive: Path, folder: Path, name: str) -> None:
    member = zipfile.ZipInfo("a")
    member.filename = name
    _add(archive, member)
    with refused("unsafe-archive", archive, repr(name)):
        unpack(archive, folder)
    with refused("unsafe-archive", archive):
        archive_files(archive)
    assert not list(folder.iterdir())


def test_links_are_refused(archive: Path, folder: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    _add(archive, link, "/etc/passwd")
    with refused("unsafe-archive", archive, "link"):
        unpack(archive, folder)
    assert not list(folder.iterdir())


def test_damaged_files_are_refused(archive: Path, folder: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"weights ", b"changed ", 1))
    with refused("unreadable", archive):
        unpack(archive, folder)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with refused("not-found", tmp_path / "missing.zip"):
        unpack(tmp_path / "missing.zip", tmp_path)
    (tmp_path / "a.zip").write_text("text")
    with refused("unreadable", tmp_path / "a.zip"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_space_is_checked_before(archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with refused("cannot-write", archive, folder):
        unpack(archive, folder)
    assert not list(folder.iterdir())


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
