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

    from tests.conversion.conftest import Hospital

IMAGE, MASK = "Images/L101_CT.nrrd", "GoldStandard/L101_GS.nrrd"

FINE: dict[str, Callable[[Hospital], list[str] | None]] = {}
"""Input that looks odd but can be used: status 0 and a complete dataset."""

BAD: dict[str, tuple[Callable[[Hospital], list[str] | None], str, str]] = {}
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


def _spoilt(hospital: Hospital, change) -> list[str]:
    """The words of the command line after a change; the first may be another source."""
    return change(hospital.add_patients()) or []


def _bytes(hospital: Hospital, name: str, change: Callable[[bytes], bytes]) -> None:
    path = hospital.folder / name
    path.write_bytes(change(path.read_bytes()))


def _header(hospital: Hospital, name: str, pattern: str, line: str) -> None:
    """Replace a line of an NRRD header."""

    def change(content: bytes) -> bytes:
        head, end, voxels = content.partition(b"\n\n")
        changed, times = re.subn(pattern.encode(), line.encode(), head)
        assert times == 1, head
        return changed + end + voxels

    _bytes(hospital, name, change)


def _write(hospital: Hospital, name: str, array: np.ndarray, **options) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, **options), str(hospital.folder / name))


def _as(hospital: Hospital, ending: str) -> str:
    """Give the first image another format; returns its new name."""
    old, new = hospital.folder / IMAGE, hospital.folder / IMAGE.replace(".nrrd", ending)
    sitk.WriteImage(sitk.ReadImage(str(old)), str(new), ending == ".nii.gz")
    old.unlink()
    return new.relative_to(hospital.folder).as_posix()


# Files that cannot be read


@bad("unreadable", "L101_CT.nrrd")
def image_cut_short(hospital):
    _bytes(hospital, IMAGE, lambda content: content[:-30])


@bad("unreadable", "L101_GS.nrrd")
def mask_cut_short(hospital):
    _bytes(hospital, MASK, lambda content: content[:-8])


@bad("unreadable", "L101_CT.nrrd")
def image_cut_in_its_header(hospital):
    _bytes(hospital, IMAGE, lambda content: content[:60])


@bad("unreadable", "L101_CT.nrrd")
def image_without_bytes(hospital):
    _bytes(hospital, IMAGE, lambda content: b"")


@bad("unreadable", "L101_CT.nrrd")
def image_is_text(hospital):
    _bytes(hospital, IMAGE, lambda content: b"see the other disk\n")


@bad("unreadable", "L101_CT.nrrd")
def image_is_zeros(hospital):
    _bytes(hospital, IMAGE, lambda content: bytes(len(content)))


@bad("unreadable", "L101_CT.nrrd")
def image_bytes_flipped(hospital):
    _bytes(hospital, IMAGE, lambda content: content[:-150] + bytes(100) + content[-50:])


@bad("unreadable", "L101_CT.nrrd")
def image_is_an_empty_folder(hospital):
    (hospital.folder / IMAGE).unlink()
    (hospital.folder / IMAGE).mkdir()


@bad("unreadable", "L101_CT.nrrd")
def image_is_a_dead_link(hospital):
    (hospital.folder / IMAGE).unlink()
    (hospital.folder / IMAGE).symlink_to("nowhere.nrrd")


@bad("unreadable", "L101_CT.nrrd")
def image_is_a_pipe(hospital):
    (hospital.folder / IMAGE).unlink()
    os.mkfifo(hospital.folder / IMAGE)


@bad("unreadable", "L101_CT.nii")
def nifti_cut_short(hospital):
    _bytes(hospital, _as(hospital, ".nii"), lambda content: content[:-9])


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_cut_short(hospital):
    _bytes(hospital, _as(hospital, ".nii.gz"), lambda content: content[:-40])


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_that_ends_too_early_inside(hospital):
    _bytes(hospital, _as(hospital, ".nii.gz"), lambda content: gzip.compress(gzip.decompress(content)[:-40]))


@bad("unreadable", "L101_CT.nii.gz")
def nifti_gz_without_bytes(hospital):
    _bytes(hospital, _as(hospital, ".nii.gz"), lambda content: b"")


@bad("unreadable", "L101_CT.mha")
def metaimage_cut_short(hospital):
    _bytes(hospital, _as(hospital, ".mha"), lambda content: content[:-9])


@bad("unreadable", "L101_CT.mhd")
def detached_voxels_missing(hospital):
    name = _as(hospital, ".mhd")
    (hospital.folder / name).with_suffix(".raw").unlink()


@bad("unreadable", "L101_CT.")
def header_that_leads_out_of_the_source(hospital):
    name = _as(hospital, ".nhdr")
    next((hospital.folder / "Images").glob("*.raw*")).unlink()
    path = hospital.folder / name
    path.write_text(re.sub("data file: .*", "data file: ../../../../../etc/hostname", path.read_text()))


# Headers that lie


@bad("unreadable", "L101_CT.nrrd")
def more_voxels_than_bytes(hospital):
    _header(hospital, IMAGE, "sizes: .*", "sizes: 7 6 500")


@bad("unreadable", "L101_CT.nrrd")
def voxels_beyond_all_memory(hospital):
    _header(hospital, IMAGE, "sizes: .*", "sizes: 100000 100000 100000")


@bad("unreadable", "L101_CT.nrrd")
def no_voxels(hospital):
    _header(hospital, IMAGE, "sizes: .*", "sizes: 7 6 0")


@bad("unreadable", "L101_CT.nrrd")
def negative_size(hospital):
    _header(hospital, IMAGE, "sizes: .*", "sizes: 7 6 -5")


@bad("unreadable", "L101_CT.nrrd")
def unknown_type(hospital):
    _header(hospital, IMAGE, "type: .*", "type: quaternion")


@bad("unreadable", "L101_CT.nrrd")
def unknown_encoding(hospital):
    _header(hospital, IMAGE, "encoding: .*", "encoding: rot13")


@bad("bad-geometry", "L101_CT.nrrd")
def spacing_zero(hospital):
    _header(hospital, IMAGE, "space directions: .*", "space directions: (0,0,0) (0,21,0) (0,0,60)")


@bad("unreadable", "L101_CT.nrrd")
def spacing_nan(hospital):
    _header(hospital, IMAGE, "space directions: .*", "space directions: (nan,0,0) (0,21,0) (0,0,60)")


@bad("bad-geometry", "L101_CT.nrrd")
def spacing_of_a_kilometre(hospital):
    _header(hospital, IMAGE, "space directions: .*", "space directions: (1e6,0,0) (0,21,0) (0,0,60)")


@bad("bad-geometry", "L101_CT.nrrd")
def axes_in_one_plane(hospital):
    _header(hospital, IMAGE, "space directions: .*", "space directions: (20,0,0) (20,1e-9,0) (0,0,60)")


@bad("unreadable", "L101_CT.nrrd")
def origin_infinite(hospital):
    _header(hospital, IMAGE, "space origin: .*", "space origin: (inf,0,0)")


@bad("unreadable", "L101_CT.nrrd")
def voxels_as_text_that_crashes_itk(hospital):
    _header(hospital, IMAGE, "encoding: .*", "encoding: ascii")
    _bytes(hospital, IMAGE, lambda content: content.partition(b"\n\n")[0] + b"\n\n" + b"0" * 100_000)


@bad("unreadable", "L101_CT.")
def header_that_leads_to_a_device(hospital):
    _header(hospital, IMAGE, "encoding: .*", "encoding: raw\ndata file: /dev/zero")


# Volumes of another kind


@bad("not-3d", "L101_CT.nrrd")
def image_of_one_slice(hospital):
    _write(hospital, IMAGE, hospital.image()[0])


@bad("not-3d", "L101_CT.nrrd")
def image_in_four_dimensions(hospital):
    _write(hospital, IMAGE, np.stack([hospital.image()] * 3), isVector=False)


@bad("colour", "L101_CT.nrrd")
def image_in_colour(hospital):
    _write(hospital, IMAGE, np.stack([hospital.image().astype(np.uint8)] * 3, axis=-1), isVector=True)


@bad("colour", "L101_CT.nrrd")
def image_of_complex_numbers(hospital):
    _write(hospital, IMAGE, hospital.image().astype(np.complex64))


@bad("mask-layers", "L101_GS.nrrd")
def mask_in_colour(hospital):
    _write(hospital, MASK, np.stack([hospital.mask()] * 3, axis=-1), isVector=True)


# Voxels that mean nothing


@bad("not-finite", "L101_CT.nrrd")
def image_with_nan(hospital):
    array = hospital.image(dtype=np.float32)
    array[0, 0, 0] = np.nan
    hospital.write(IMAGE, array)


@bad("not-finite", "L101_CT.nrrd")
def image_with_infinity(hospital):
    array = hospital.image(dtype=np.float64)
    array[0, 0, 0] = -np.inf
    hospital.write(IMAGE, array)


@bad("image-8bit", "L101_CT.nrrd")
def image_of_8_bits(hospital):
    hospital.write(IMAGE, (hospital.image() % 256).astype(np.uint8))


@bad("image-normalised", "L101_CT.nrrd")
def image_normalised(hospital):
    hospital.write(IMAGE, ((hospital.image() + 900.0) / 2400.0).astype(np.float32))


@bad("image-positive", "L101_CT.nrrd")
def image_without_negative_values(hospital):
    hospital.write(IMAGE, hospital.image() + 1024)


@bad("image-constant", "L101_CT.nrrd")
def image_of_one_value(hospital):
    hospital.write(IMAGE, np.full(hospital.shape_zyx, -1000, np.int16))


@bad("empty-mask", "L101_GS.nrrd")
def mask_empty(hospital):
    hospital.write(MASK, hospital.mask() * 0)


@bad("not-finite", "L101_GS.nrrd")
def mask_with_nan(hospital):
    array = hospital.mask(dtype=np.float32)
    array[0, 0, 0] = np.nan
    hospital.write(MASK, array)


@bad("mask-labels", "L101_GS.nrrd")
def mask_with_labels_nobody_explained(hospital):
    array = hospital.mask()
    array[1] *= 3
    array[2] *= 7
    hospital.write(MASK, array)


@bad("mask-geometry", "L101_GS.nrrd")
def mask_somewhere_else(hospital):
    hospital.write(MASK, hospital.mask(), origin=(9000, 9000, 9000))


@bad("empty-mask", "L101_GS.nrrd")
def mask_without_the_asked_label(hospital):
    del hospital
    return ["--labels", "5"]


# Files that do not fit together


@bad("not-found", "nowhere")
def no_source(hospital):
    return [str(hospital.folder / "nowhere")]


@bad("no-cases", "hospital")
def an_empty_source(hospital):
    for path in hospital.folder.glob("*/*"):
        path.unlink()


@bad("not-found", "hospital")
def no_folder_of_masks(hospital):
    (hospital.folder / "GoldStandard").rename(hospital.folder / "Masken")


@bad("unpaired-image", "R102_CT.nrrd")
def image_without_mask(hospital):
    (hospital.folder / "GoldStandard/R102_GS.nrrd").unlink()


@bad("unpaired-mask", "R102_GS.nrrd")
def mask_without_image(hospital):
    (hospital.folder / "Images/R102_CT.nrrd").unlink()


@bad("duplicate-id", "L101")
def two_images_of_one_id(hospital):
    hospital.write("Images/L101_CT_again.nrrd", hospital.image())


@bad("duplicate-id", "L101")
def two_images_of_one_id_in_other_letters(hospital):
    hospital.write("Images/l101_ct2.nrrd", hospital.image())


@bad("no-id", "patient_one_CT.nrrd")
def image_without_an_id(hospital):
    (hospital.folder / IMAGE).rename(hospital.folder / "Images/patient_one_CT.nrrd")


@bad("too-few-patients", "6")
def five_patients(hospital):
    for path in hospital.folder.glob("*/R106*"):
        path.unlink()


# Options and tables


@bad("invalid-option", "(L")
def pattern_that_does_not_close(hospital):
    del hospital
    return ["--id-pattern", "(L"]


@bad("invalid-option", "bids")
def unknown_layout(hospital):
    del hospital
    return ["--layout", "bids"]


@bad("invalid-option", "most/few/few")
def split_in_words(hospital):
    del hospital
    return ["--split", "most/few/few"]


@bad("invalid-option", "80/20/0")
def split_without_test(hospital):
    del hospital
    return ["--split", "80/20/0"]


@bad("invalid-name", "../../elsewhere")
def name_that_leads_elsewhere(hospital):
    del hospital
    return ["--name", "../../elsewhere"]


@bad("invalid-option", "femur")
def labels_in_words(hospital):
    del hospital
    return ["--labels", "femur"]


def _file(hospital: Hospital, name: str, content: str | bytes) -> str:
    path = hospital.folder.parent / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@bad("unreadable", "nowhere.csv")
def no_table_of_patients(hospital):
    return ["--patients", str(hospital.folder / "nowhere.csv")]


@bad("invalid-file", "patients.csv")
def table_of_patients_is_a_spreadsheet(hospital):
    return ["--patients", _file(hospital, "patients.csv", b"PK\x03\x04\xff\xfe\x00")]


@bad("invalid-file", "patients.csv")
def table_of_patients_without_names_of_columns(hospital):
    return ["--patients", _file(hospital, "patients.csv", "L101,7\nR102,8\n")]


@bad("invalid-file", "line 3")
def case_of_two_patients(hospital):
    return ["--patients", _file(hospital, "patients.csv", "case,patient\nL101,7\nL101,8\n")]


@bad("invalid-file", "line 2")
def case_of_nobody(hospital):
    return ["--patients", _file(hospital, "patients.csv", "case,patient\nL101,\n")]


@bad("too-few-patients", "2")
def all_cases_of_two_patients(hospital):
    rows = "".join(f"{'RL'[n % 2]}{100 + n};{n % 2}\n" for n in range(1, 7))
    return ["--patients", _file(hospital, "patients.csv", f"case;patient\n{rows}")]


@bad("invalid-file", "L999")
def unknown_case_to_test_on(hospital):
    return ["--test-ids", _file(hospital, "test.txt", "L101\nL999\n")]


@bad("invalid-file", "R101")
def half_a_patient_to_test_on(hospital):
    hospital.add("R101")
    return ["--test-ids", _file(hospital, "test.txt", "L101\n")]


@bad("invalid-file", "test.txt")
def nobody_to_test_on(hospital):
    return ["--test-ids", _file(hospital, "test.txt", "\n\n")]


@bad("too-few-patients", "4")
def too_many_to_test_on(hospital):
    return ["--test-ids", _file(hospital, "test.txt", "L101\nR102\n")]


@bad("table-row", "hospital.csv")
def table_of_files_that_are_not_there(hospital):
    return [_file(hospital, "hospital.csv", "image,mask,patient\nIMG/a.nrrd,b.nrrd,1\n")]


@bad("invalid-file", "hospital.csv")
def table_without_a_mask_column(hospital):
    return [_file(hospital, "hospital.csv", "image,patient\nImages/L101_CT.nrrd,1\n")]


@bad("no-cases", "hospital.csv")
def table_without_rows(hospital):
    return [_file(hospital, "hospital.csv", "image,mask,patient\n")]


def _table(hospital: Hospital, of_row: Callable[[int], str]) -> str:
    rows = [
        f"hospital/Images/{name}_CT.nrrd,hospital/GoldStandard/{name}_GS.nrrd,{of_row(number)}"
        for number, name in enumerate(sorted(path.name[:4] for path in (hospital.folder / "Images").iterdir()))
    ]
    return _file(hospital, "hospital.csv", "\n".join(["image,mask,patient,side,set", *rows]) + "\n")


@bad("invalid-file", "L101")
def table_that_gives_a_patient_to_two_sets(hospital):
    return [_table(hospital, lambda number: f"{number // 2},left,{('train', 'test')[number % 2]}")]


@bad("table-row", "hospital.csv")
def table_with_a_set_that_is_none(hospital):
    return [_table(hospital, lambda number: f"{number},left,maybe")]


# Places that are taken


@bad("exists", "Dataset001_Liver")
def another_dataset_of_that_number(hospital):
    (hospital.folder.parent / "nnUNet_raw" / "Dataset001_Liver").mkdir(parents=True)


@bad("exists", "Dataset001_Femur")
def a_dataset_of_others(hospital):
    (hospital.folder.parent / "nnUNet_raw" / "Dataset001_Femur" / "imagesTr").mkdir(parents=True)


@bad("exists", "Dataset001_Femur")
def a_link_in_the_datasets_place(hospital):
    (hospital.folder.parent / "nnUNet_raw").mkdir()
    (hospital.folder.parent / "nnUNet_raw" / "Dataset001_Femur").symlink_to(hospital.folder)


@bad("environment", "nnUNet_raw")
def a_file_instead_of_the_raw_folder(hospital):
    (hospital.folder.parent / "nnUNet_raw").write_text("")


# Odd, but usable


@fine
def nothing_odd(hospital):
    del hospital


@fine
def files_that_are_no_volumes(hospital):
    for name in ("README.txt", "Images/.DS_Store", "Images/._L101_CT.nrrd", "Images/notes.docx"):
        (hospital.folder / name).write_bytes(b"x")


@fine
def ending_in_capitals(hospital):
    (hospital.folder / IMAGE).rename(hospital.folder / "Images/L101_CT.NRRD")


@fine
def spaces_and_umlauts_in_names(hospital):
    (hospital.folder / IMAGE).rename(hospital.folder / "Images/L101 Größe [1] $x$.nrrd")


@fine
def mask_of_label_2(hospital):
    hospital.write(MASK, hospital.mask() * 2)


@fine
def mask_of_doubles(hospital):
    hospital.write(MASK, hospital.mask(dtype=np.float64))


@fine
def image_with_padding(hospital):
    array = hospital.image()
    array[:, 0] = -3024
    hospital.write(IMAGE, array)


@fine
def image_as_compressed_nifti(hospital):
    _as(hospital, ".nii.gz")


@fine
def image_behind_a_link(hospital):
    moved = hospital.folder.parent / "disk.nrrd"
    (hospital.folder / IMAGE).rename(moved)
    (hospital.folder / IMAGE).symlink_to(moved)


@fine
def patients_whom_a_table_names(hospital):
    return ["--patients", _file(hospital, "p.csv", "\ufeffID;Patient\nl101;Müller, Hans\nR102;x\nL103;y\n")]


@fine
def a_given_test_set(hospital):
    return ["--test-ids", _file(hospital, "test.csv", "case,why\nL101,it is the oldest\n")]


@fine
def a_table_of_files(hospital):
    return [_table(hospital, lambda number: f"{number},left,{'test' if number == 0 else ''}")]


def test_there_are_enough_kinds():
    assert len(BAD) >= 40


def _error_codes(report: Path) -> set[str]:
    with report.open(newline="") as file:
        return {row["code"] for row in csv.DictReader(file) if row["severity"] == "error"}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.timeout(60)
def test_an_error_is_one_message_and_status_1(kind, hospital, raw, run):
    change, expected, named = BAD[kind]
    more = _spoilt(hospital, change)
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(hospital.folder)]
    before = {path for path in hospital.folder.parent.rglob("*") if ".Dataset" not in str(path)}
    status, code, output = run(*source, *more)
    assert status == 1, output
    report = raw / "findings_Dataset001_Femur.csv"
    assert expected in (_error_codes(report) if code == "bad-cases" else {code}), output
    assert named in output.rpartition("error: ")[2]
    assert "Traceback" not in output
    visible = {path for path in hospital.folder.parent.rglob("*") if ".Dataset" not in str(path)}
    assert visible - before <= {raw, report}


@pytest.mark.parametrize("kind", list(BAD)[::3])
def test_a_dry_run_finds_the_same_and_writes_nothing(kind, hospital, run):
    change, expected, named = BAD[kind]
    more = _spoilt(hospital, change)
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(hospital.folder)]
    before = set(hospital.folder.parent.rglob("*"))
    status, code, output = run(*source, *more, "--dry-run")
    assert status == 1, output
    # Findings are printed in a table with their codes.
    assert code == expected or expected in output or (expected == "too-few-patients" and "split" in output), output
    assert named in output
    assert "Traceback" not in output
    assert set(hospital.folder.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", FINE)
def test_odd_input_is_converted(kind, hospital, raw, run):
    more = _spoilt(hospital, FINE[kind])
    source = [more.pop(0)] if more and not more[0].startswith("-") else [str(hospital.folder)]
    status, _, output = run(*source, *more)
    assert status == 0, output
    dataset = raw / "Dataset001_Femur"
    images = {path.name.replace("_0000", "") for path in dataset.glob("images*/*.nrrd")}
    masks = {path.name for path in dataset.glob("labels*/*.nrrd")}
    assert len(images) == 6
    assert images == masks
    assert [path.name for path in raw.iterdir()] == [dataset.name]


@pytest.mark.parametrize("arguments", [("--jobs", "0"), ("--dataset-id", "1000"), ("--unknown",), ("--seed", "x")])
def test_wrong_usage_is_status_2(hospital, raw, run, arguments):
    status, _, output = run(str(hospital.add_patients().folder), *arguments)
    assert status == 2
    assert "Traceback" not in output
    assert not raw.exists()
