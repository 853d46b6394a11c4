"""Mistakes of users: an error is one message and status 1, never a traceback or an incomplete dataset."""

from __future__ import annotations

import csv
import gzip
import os
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conversion.conftest import Drop

IMAGE, MASK = "Images/L101_CT.nrrd", "GoldStandard/L101_GS.nrrd"

FINE: dict[str, Callable[[Drop], list[str] | None]] = {}
"""Input that looks odd but can be used: status 0 and a complete dataset."""

BAD: dict[str, tuple[Callable[[Drop], list[str] | None], str, str]] = {}
"""Input that cannot be used, with the code of its error or finding, and a file or value that the message names."""


def bad(code: str, named: str):
    """Register a way to spoil a source folder of six cases; it may return more arguments of the command line."""

    def add(spoil):
        BAD[spoil.__name__] = spoil, code, named
        return spoil

    return add


def fine(change):
    FINE[change.__name__] = change
    return change


@pytest.fixture
def run(monkeypatch, capfd, raw):
    """Run `nnfemur convert` in this process and return its status, the code of its error and its output."""

    def convert(source: Path, *arguments: str) -> tuple[int, str, str]:
        command = ["nnfemur", "convert", str(source), "--dataset-id", "1", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setenv("nnUNet_raw", str(raw))
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as ended:
            main()
        output = "".join(capfd.readouterr())
        code = getattr(ended.value.__context__, "code", "")
        return int(ended.value.code or 0), code, re.sub(r"[│\s]+", " ", output)

    return convert


def _spoilt(drop: Drop, change) -> list[str]:
    """The words of the command line after a change; the first may be another source."""
    return change(drop.add_patients()) or []


def _bytes(drop: Drop, name: str, change: Callable[[bytes], bytes]) -> None:
    path = drop.folder / name
    path.write_bytes(change(path.read_bytes()))


def _header(drop: Drop, name: str, pattern: str, line: str) -> None:
    """Replace a line of an NRRD header."""

    def change(content: bytes) -> bytes:
        head, end, voxels = content.partition(b"\n\n")
        changed, times = re.subn(pattern.encode(), line.encode(), head)
        assert times == 1, head
        return changed + end + voxels

    _bytes(drop, name, change)


def _write(drop: Drop, name: str, array: np.ndarray, **options) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, **options), str(drop.folder / name))


def _as(drop: Drop, ending: str) -> str:
    """Give the first image another format; returns its new name."""
    old, new = drop.folder / IMAGE, drop.folder / IMAGE.replace(".nrrd", ending)
    sitk.WriteImage(sitk.ReadImage(str(old)), str(new), ending == ".nii.gz")
    old.unlink()
    return new.relative_to(drop.folder).as_posix()


# Files that cannot be read


@bad("unreadable", "L101_CT.nrrd")
def image_cut_short(drop):
    _bytes(drop, IMAGE, lambda content: content[:-30])


@bad("unreadable", "L101_GS.nrrd")
def mask_cut_short(drop):
    _bytes(drop, MASK, lambda content: content[:-8])


@bad("unreadable", "L101_CT.nrrd")
def image_cut_in_its_header(drop):
    _bytes(drop, IMAGE, lambda content: content[:60])


@bad("unreadable", "L101_CT.nrrd")
def image_without_bytes(drop):
    _bytes(drop, IMAGE, lambda content: b"")


@bad("unreadable", "L101_CT.nrrd")
def image_is_text(drop):
    _bytes(drop, IMAGE, lambda content: b"see the other disk\n")


@bad("unreadable", "L101_CT.nrrd")
def image_is_zeros(drop):
    _bytes(drop, IMAGE, lambda content: bytes(len(content)))


@bad("unreadable", "L101_CT.nrrd")
def image_bytes_flipped(drop):
    _bytes(drop, IMAGE, lambda content: content[:-150] + bytes(100) + content[-50:])


@bad("unreadable", "L101_CT.nrrd")
def image_is_an_empty_folder(drop):
    (drop.folder / IMAGE).unlink()
    (drop.folder / IMAGE).mkdir()


@bad("unreadable", "L101_CT.nrrd")
def image_is_a_dead_link(drop):
    (drop.folder / IMAGE).unlink()
    (drop.folder / IMAGE).symlink_to("nowhere.nrrd")


@bad("unreadable", "L101_CT.nrrd")
def image_is_a_pipe(drop):
    (drop.folder / IMAGE).unlink()
    os.mkfifo(drop.folder / IMAGE)


@bad("unreadable", "L101_CT.nii")
def nifti_cut_short(drop):
    _bytes(drop, _as(drop, ".nii"), lambda content: content[:-9])


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_cut_short(drop):
    _bytes(drop, _as(drop, ".nii.gz"), lambda content: content[:-40])


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_that_ends_too_early_inside(drop):
    _bytes(drop, _as(drop, ".nii.gz"), lambda content: gzip.compress(gzip.decompress(content)[:-40]))


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_without_bytes(drop):
    _bytes(drop, _as(drop, ".nii.gz"), lambda content: b"")


@bad("unreadable", "L101_CT.mha")
def metaimage_cut_short(drop):
    _bytes(drop, _as(drop, ".mha"), lambda content: content[:-9])


@bad("unreadable", "L101_CT.mhd")
def detached_voxels_missing(drop):
    name = _as(drop, ".mhd")
    (drop.folder / name).with_suffix(".raw").unlink()


@bad("unreadable", "L101_CT.")
def header_that_leads_out_of_the_source(drop):
    name = _as(drop, ".nhdr")
    next((drop.folder / "Images").glob("*.raw*")).unlink()
    path = drop.folder / name
    path.write_text(re.sub("data file: .*", "data file: ../../../../../etc/hostname", path.read_text()))


# Headers that lie


@bad("unreadable", "L101_CT.nrrd")
def more_voxels_than_bytes(drop):
    _header(drop, IMAGE, "sizes: .*", "sizes: 7 6 500")


@bad("unreadable", "L101_CT.nrrd")
def voxels_beyond_all_memory(drop):
    _header(drop, IMAGE, "sizes: .*", "sizes: 100000 100000 100000")


@bad("unreadable", "L101_CT.nrrd")
def no_voxels(drop):
    _header(drop, IMAGE, "sizes: .*", "sizes: 7 6 0")


@bad("unreadable", "L101_CT.nrrd")
def negative_size(drop):
    _header(drop, IMAGE, "sizes: .*", "sizes: 7 6 -5")


@bad("unreadable", "L101_CT.nrrd")
def unknown_type(drop):
    _header(drop, IMAGE, "type: .*", "type: quaternion")


@bad("unreadable", "L101_CT.nrrd")
def unknown_encoding(drop):
    _header(drop, IMAGE, "encoding: .*", "encoding: rot13")


@bad("bad-geometry", "L101_CT.nrrd")
def spacing_zero(drop):
    _header(drop, IMAGE, "space directions: .*", "space directions: (0,0,0) (0,21,0) (0,0,60)")


@bad("unreadable", "L101_CT.nrrd")
def spacing_nan(drop):
    _header(drop, IMAGE, "space directions: .*", "space directions: (nan,0,0) (0,21,0) (0,0,60)")


@bad("bad-geometry", "L101_CT.nrrd")
def spacing_of_a_kilometre(drop):
    _header(drop, IMAGE, "space directions: .*", "space directions: (1e6,0,0) (0,21,0) (0,0,60)")


@bad("bad-geometry", "L101_CT.nrrd")
def axes_in_one_plane(drop):
    _header(drop, IMAGE, "space directions: .*", "space directions: (20,0,0) (20,1e-9,0) (0,0,60)")


@bad("unreadable", "L101_CT.nrrd")
def origin_infinite(drop):
    _header(drop, IMAGE, "space origin: .*", "space origin: (inf,0,0)")


@bad("unreadable", "L101_CT.nrrd")
def voxels_as_text_that_crashes_itk(drop):
    _header(drop, IMAGE, "encoding: .*", "encoding: ascii")
    _bytes(drop, IMAGE, lambda content: content.partition(b"\n\n")[0] + b"\n\n" + b"0" * 100_000)


@bad("unreadable", "L101_CT.")
def header_that_leads_to_a_device(drop):
    _header(drop, IMAGE, "encoding: .*", "encoding: raw\ndata file: /dev/zero")


# Volumes of another kind


@bad("not-3d", "L101_CT.nrrd")
def image_of_one_slice(drop):
    _write(drop, IMAGE, drop.image()[0])


@bad("not-3d", "L101_CT.nrrd")
def image_in_four_dimensions(drop):
    _write(drop, IMAGE, np.stack([drop.image()] * 3), isVector=False)


@bad("colour", "L101_CT.nrrd")
def image_in_colour(drop):
    _write(drop, IMAGE, np.stack([drop.image().astype(np.uint8)] * 3, axis=-1), isVector=True)


@bad("colour", "L101_CT.nrrd")
def image_of_complex_numbers(drop):
    _write(drop, IMAGE, drop.image().astype(np.complex64))


@bad("mask-layers", "L101_GS.nrrd")
def mask_in_colour(drop):
    _write(drop, MASK, np.stack([drop.mask()] * 3, axis=-1), isVector=True)


# Voxels that mean nothing


@bad("not-finite", "L101_CT.nrrd")
def image_with_nan(drop):
    array = drop.image(dtype=np.float32)
    array[0, 0, 0] = np.nan
    drop.write(IMAGE, array)


@bad("not-finite", "L101_CT.nrrd")
def image_with_infinity(drop):
    array = drop.image(dtype=np.float64)
    array[0, 0, 0] = -np.inf
    drop.write(IMAGE, array)


@bad("image-8bit", "L101_CT.nrrd")
def image_of_8_bits(drop):
    drop.write(IMAGE, (drop.image() % 256).astype(np.uint8))


@bad("image-normalised", "L101_CT.nrrd")
def image_normalised(drop):
    drop.write(IMAGE, ((drop.image() + 900.0) / 2400.0).astype(np.float32))


@bad("image-positive", "L101_CT.nrrd")
def image_without_negative_values(drop):
    drop.write(IMAGE, drop.image() + 1024)


@bad("image-constant", "L101_CT.nrrd")
def image_of_one_value(drop):
    drop.write(IMAGE, np.full(drop.shape_zyx, -1000, np.int16))


@bad("empty-mask", "L101_GS.nrrd")
def mask_empty(drop):
    drop.write(MASK, drop.mask() * 0)


@bad("not-finite", "L101_GS.nrrd")
def mask_with_nan(drop):
    array = drop.mask(dtype=np.float32)
    array[0, 0, 0] = np.nan
    drop.write(MASK, array)


@bad("mask-labels", "L101_GS.nrrd")
def mask_with_labels_nobody_explained(drop):
    array = drop.mask()
    array[1] *= 3
    array[2] *= 7
    drop.write(MASK, array)


@bad("mask-geometry", "L101_GS.nrrd")
def mask_somewhere_else(drop):
    drop.write(MASK, drop.mask(), origin=(9000, 9000, 9000))


@bad("empty-mask", "L101_GS.nrrd")
def mask_without_the_asked_label(drop):
    del drop
    return ["--labels", "5"]


# Files that do not fit together


@bad("not-found", "nowhere")
def no_source(drop):
    return [str(drop.folder / "nowhere")]


@bad("no-cases", "drop")
def an_empty_source(drop):
    for path in drop.folder.glob("*/*"):
        path.unlink()


@bad("not-found", "drop")
def no_folder_of_masks(drop):
    (drop.folder / "GoldStandard").rename(drop.folder / "Masken")


@bad("unpaired-image", "R102_CT.nrrd")
def image_without_mask(drop):
    (drop.folder / "GoldStandard/R102_GS.nrrd").unlink()


@bad("unpaired-mask", "R102_GS.nrrd")
def mask_without_image(drop):
    (drop.folder / "Images/R102_CT.nrrd").unlink()


@bad("duplicate-id", "L101")
def two_images_of_one_id(drop):
    drop.write("Images/L101_CT_again.nrrd", drop.image())


@bad("duplicate-id", "L101")
def two_images_of_one_id_in_other_letters(drop):
    drop.write("Images/l101_ct2.nrrd", drop.image())


@bad("no-id", "patient_one_CT.nrrd")
def image_without_an_id(drop):
    (drop.folder / IMAGE).rename(drop.folder / "Images/patient_one_CT.nrrd")


@bad("too-few-patients", "6")
def five_patients(drop):
    for path in drop.folder.glob("*/R106*"):
        path.unlink()


# Options and tables


@bad("invalid-option", "(L")
def pattern_that_does_not_close(drop):
    del drop
    return ["--id-pattern", "(L"]


@bad("invalid-option", "bids")
def unknown_layout(drop):
    del drop
    return ["--layout", "bids"]


@bad("invalid-option", "most/few/few")
def split_in_words(drop):
    del drop
    return ["--split", "most/few/few"]


@bad("invalid-option", "80/20/0")
def split_without_test(drop):
    del drop
    return ["--split", "80/20/0"]


@bad("invalid-name", "../../elsewhere")
def name_that_leads_elsewhere(drop):
    del drop
    return ["--name", "../../elsewhere"]


@bad("invalid-option", "femur")
def labels_in_words(drop):
    del drop
    return ["--labels", "femur"]


def _file(drop: Drop, name: str, content: str | bytes) -> str:
    path = drop.folder.parent / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@bad("unreadable", "nowhere.csv")
def no_table_of_patients(drop):
    return ["--patients", str(drop.folder / "nowhere.csv")]


@bad("invalid-file", "patients.csv")
def table_of_patients_is_a_spreadsheet(drop):
    return ["--patients", _file(drop, "patients.csv", b"PK\x03\x04\xff\xfe\x00")]


@bad("invalid-file", "patients.csv")
def table_of_patients_without_names_of_columns(drop):
    return ["--patients", _file(drop, "patients.csv", "L101,7\nR102,8\n")]


@bad("invalid-file", "line 3")
def case_of_two_patients(drop):
    return ["--patients", _file(drop, "patients.csv", "case,patient\nL101,7\nL101,8\n")]


@bad("invalid-file", "line 2")
def case_of_nobody(drop):
    return ["--patients", _file(drop, "patients.csv", "case,patient\nL101,\n")]


@bad("too-few-patients", "2")
def all_cases_of_two_patients(drop):
    rows = "".join(f"{'RL'[n % 2]}{100 + n};{n % 2}\n" for n in range(1, 7))
    return ["--patients", _file(drop, "patients.csv", f"case;patient\n{rows}")]


@bad("invalid-file", "L999")
def unknown_case_to_test_on(drop):
    return ["--test-ids", _file(drop, "test.txt", "L101\nL999\n")]


@bad("invalid-file", "R101")
def half_a_patient_to_test_on(drop):
    drop.add("R101")
    return ["--test-ids", _file(drop, "test.txt", "L101\n")]


@bad("invalid-file", "test.txt")
def nobody_to_test_on(drop):
    return ["--test-ids", _file(drop, "test.txt", "\n\n")]


@bad("too-few-patients", "4")
def too_many_to_test_on(drop):
    return ["--test-ids", _file(drop, "test.txt", "L101\nR102\n")]


@bad("table-row", "drop.csv")
def table_of_files_that_are_not_there(drop):
    return [_file(drop, "drop.csv", "image,mask,patient\nIMG/a.nrrd,b.nrrd,1\n")]


@bad("invalid-file", "drop.csv")
def table_without_a_mask_column(drop):
    return [_file(drop, "drop.csv", "image,patient\nImages/L101_CT.nrrd,1\n")]


@bad("no-cases", "drop.csv")
def table_without_rows(drop):
    return [_file(drop, "drop.csv", "image,mask,patient\n")]


def _table(drop: Drop, of_row: Callable[[int], str]) -> str:
    rows = [
        f"drop/Images/{name}_CT.nrrd,drop/GoldStandard/{name}_GS.nrrd,{of_row(number)}"
        for number, name in enumerate(sorted(path.name[:4] for path in (drop.folder / "Images").iterdir()))
    ]
    return _file(drop, "drop.csv", "\n".join(["image,mask,patient,side,set", *rows]) + "\n")


@bad("invalid-file", "L101")
def table_that_gives_a_patient_to_two_sets(drop):
    return [_table(drop, lambda number: f"{number // 2},left,{('train', 'test')[number % 2]}")]


@bad("table-row", "drop.csv")
def table_with_a_set_that_is_none(drop):
    return [_table(drop, lambda number: f"{number},left,maybe")]


# Places that are taken


@bad("exists", "Dataset001_Liver")
def another_dataset_of_that_number(drop):
    (drop.folder.parent / "nnUNet_raw" / "Dataset001_Liver").mkdir(parents=True)


@bad("exists", "Dataset001_Femur")
def a_dataset_of_others(drop):
    (drop.folder.parent / "nnUNet_raw" / "Dataset001_Femur" / "imagesTr").mkdir(parents=True)


@bad("exists", "Dataset001_Femur")
def a_link_in_the_datasets_place(drop):
    (drop.folder.parent / "nnUNet_raw").mkdir()
    (drop.folder.parent / "nnUNet_raw" / "Dataset001_Femur").symlink_to(drop.folder)


@bad("setup", "nnUNet_raw")
def a_file_instead_of_the_raw_folder(drop):
    (drop.folder.parent / "nnUNet_raw").write_text("")


# Odd, but usable


@fine
def nothing_odd(drop):
    del drop


@fine
def files_that_are_no_volumes(drop):
    for name in ("README.txt", "Images/.DS_Store", "Images/._L101_CT.nrrd", "Images/notes.docx"):
        (drop.folder / name).write_bytes(b"x")


@fine
def ending_in_capitals(drop):
    (drop.folder / IMAGE).rename(drop.folder / "Images/L101_CT.NRRD")


@fine
def spaces_and_umlauts_in_names(drop):
    (drop.folder / IMAGE).rename(drop.folder / "Images/L101 Größe [1] $x$.nrrd")


@fine
def mask_of_label_2(drop):
    drop.write(MASK, drop.mask() * 2)


@fine
def mask_of_doubles(drop):
    drop.write(MASK, drop.mask(dtype=np.float64))


@fine
def image_with_padding(drop):
    array = drop.image()
    array[:, 0] = -3024
    drop.write(IMAGE, array)


@fine
def image_as_compressed_nifti(drop):
    _as(drop, ".nii.gz")


@fine
def image_behind_a_link(drop):
    moved = drop.folder.parent / "disk.nrrd"
    (drop.folder / IMAGE).rename(moved)
    (drop.folder / IMAGE).symlink_to(moved)


@fine
def patients_whom_a_table_names(drop):
    return ["--patients", _file(drop, "p.csv", "\ufeffID;Patient\nl101;Müller, Hans\nR102;x\nL103;y\n")]


@fine
def a_given_test_set(drop):
    return ["--test-ids", _file(drop, "test.csv", "case,why\nL101,it is the oldest\n")]


@fine
def a_table_of_files(drop):
    return [_table(drop, lambda number: f"{number},left,{'test' if number == 0 else ''}")]


def test_there_are_enough_kinds():
    assert len(BAD) >= 40


def _error_codes(report: Path) -> set[str]:
    with report.open(newline="") as file:
        return {row["code"] for row in csv.DictReader(file) if row["severity"] == "error"}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.timeout(60)
def test_an_error_is_one_message_and_status_1(kind, drop, raw, run):
    change, expected, named = BAD[kind]
    more = _spoilt(drop, change)
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(drop.folder)]
    before = {path for path in drop.folder.parent.rglob("*") if ".Dataset" not in str(path)}
    status, code, output = run(*source, *more)
    assert status == 1, output
    report = raw / "findings_Dataset001_Femur.csv"
    assert expected in (_error_codes(report) if code == "bad-cases" else {code}), output
    assert named in output.rpartition("error: ")[2]
    assert "Traceback" not in output
    visible = {path for path in drop.folder.parent.rglob("*") if ".Dataset" not in str(path)}
    assert visible - before <= {raw, report}


@pytest.mark.parametrize("kind", list(BAD)[::3])
def test_a_dry_run_finds_the_same_and_writes_nothing(kind, drop, run):
    change, expected, named = BAD[kind]
    more = _spoilt(drop, change)
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(drop.folder)]
    before = set(drop.folder.parent.rglob("*"))
    status, code, output = run(*source, *more, "--dry-run")
    assert status == 1, output
    # Findings are printed in a table with their codes.
    assert code == expected or expected in output or (expected == "too-few-patients" and "split" in output), output
    assert named in output
    assert "Traceback" not in output
    assert set(drop.folder.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", FINE)
def test_odd_input_is_converted(kind, drop, raw, run):
    more = _spoilt(drop, FINE[kind])
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(drop.folder)]
    status, _, output = run(*source, *more)
    assert status == 0, output
    dataset = raw / "Dataset001_Femur"
    images = {path.name.replace("_0000", "") for path in dataset.glob("images*/*.nrrd")}
    masks = {path.name for path in dataset.glob("labels*/*.nrrd")}
    assert len(images) == 6
    assert images == masks
    assert [path.name for path in raw.iterdir()] == [dataset.name]


@pytest.mark.parametrize("arguments", [("--jobs", "0"), ("--dataset-id", "1000"), ("--unknown",), ("--seed", "x")])
def test_wrong_usage_is_status_2(drop, raw, run, arguments):
    status, _, output = run(str(drop.add_patients().folder), *arguments)
    assert status == 2
    assert "Traceback" not in output
    assert not raw.exists()
