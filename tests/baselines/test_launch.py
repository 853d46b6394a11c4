"""``TotalSegmentator`` as typed: what goes where, and what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.baselines import launch as launching
from nnunet_femur.baselines.launch import launch, mask_beside
from nnunet_femur.baselines.settings import Settings
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.testing import make_phantom
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.baselines.conftest import Cell

FAKE = textwrap.dedent(
    """\
    #!{python}
    import json, os, sys
    from pathlib import Path
    import nibabel, numpy as np

    typed = sys.argv[1:]
    with Path({log!r}).open("a") as log:
        print(json.dumps(typed), file=log)
    value = {{name: typed[index + 1] for index, name in enumerate(typed[:-1])}}
    print("at work")
    if "--debug" in typed:
        Path(value["-o"]).write_text("half a file")
        sys.exit(3)
    ct = nibabel.load(value["-i"])
    labels = (ct.get_fdata() % 7).astype(np.uint8)
    out = Path(value["-o"])
    out.parent.mkdir(parents=True, exist_ok=True)
    if "--ml" not in typed:
        out.mkdir()
        out = out / "femur_left.nii.gz"
    if "--skip_saving" not in typed:
        nibabel.save(nibabel.Nifti1Image(labels, ct.affine, ct.header), out)
    if "-rp" in typed:
        report = {{"input": value["-i"], "output": os.path.abspath(value["-o"]), "classes": {{"1": "spleen"}}}}
        Path(value["-rp"]).write_text(json.dumps(report))
    """
)
"""A program in the stock one's place, which labels each voxel of the CT by its value."""


class ReplacedError(Exception):
    """In place of the end of the process."""


class Stock:
    """The program in the stock one's place.

    Attributes:
        typed: The arguments of each call in which it ran beside us.
        replaced: Those with which it took our place.
    """

    def __init__(self, folder: Path) -> None:
        self.log = folder / "typed.txt"
        self.replaced: list[str] | None = None
        (folder / "bin").mkdir()
        program = folder / "bin" / "TotalSegmentator"
        program.write_text(FAKE.format(python=sys.executable, log=str(self.log)))
        program.chmod(0o755)
        self.path = str(program.parent)

    @property
    def typed(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.is_file() else []


@pytest.fixture
def stock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Stock:
    stock = Stock(tmp_path_factory.mktemp("stock"))
    monkeypatch.setenv("PATH", stock.path)

    def execv(program: str, command: list[str]) -> None:
        stock.replaced = command[1:]
        raise ReplacedError

    monkeypatch.setattr(os, "execv", execv)
    return stock


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and one for temporary files beside it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "here"


def _ct(order: str = "PIL") -> sitk.Image:
    """An oblique CT, nothing about it symmetric."""
    image = sitk.GetImageFromArray(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6) * 3)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.123456789, -20.0, 30.0))
    image = sitk.DICOMOrient(image, order)
    tilt = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.15).GetMatrix(), (3, 3))
    image.SetDirection((tilt @ np.reshape(image.GetDirection(), (3, 3))).ravel())
    return image


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _check_labels(path: Path, ct: sitk.Image, tolerance: float) -> None:
    labels = sitk.ReadImage(str(path))
    assert not Geometry.of(labels).differences(Geometry.of(ct), tolerance_voxels=tolerance)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(ct) % 7)


class TestAnyVolume:
    @pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nhdr", "ct.mhd", "a 'ct' $x.NRRD"])
    @pytest.mark.parametrize("option", ["-i {}", "-i={}"])
    def test_one_file_of_all_classes(self, name: str, option: str, stock: Stock, here: Path, tmp_path: Path) -> None:
        sitk.WriteImage(_ct(), str(here / name))
        before = _names(here)
        typed = [
            option.split()[0].format(name),
            *([name] if " " in option else []),
            "-o",
            "femur.nrrd",
            "--ml",
            "-ns",
            "1",
        ]
        assert launch(typed) == 0
        _check_labels(here / "femur.nrrd", _ct(), 1e-9)
        assert [call[: len(typed)] for call in stock.typed] == [typed]
        assert _names(here) == before | {"femur.nrrd"}
        assert _names(tmp_path / "temporary") == set()

    def test_a_folder_of_masks_is_as_the_stock_program_writes_it(self, stock: Stock, here: Path) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        assert launch(["-i", "ct.nrrd", "-o", "masks"]) == 0
        assert _names(here) == {"ct.nrrd", "masks", "masks/femur_left.nii.gz"}
        _check_labels(here / "masks" / "femur_left.nii.gz", _ct(), 1e-4)
        assert stock.typed[0][-2:] == ["-o", "masks"]

    def test_nifti_where_the_name_asks_for_it(self, stock: Stock, here: Path) -> None:
        sitk.WriteImage(_ct(), "ct.mha")
        assert launch(["-i", "ct.mha", "-o", "femur.nii.gz", "--ml"]) == 0
        assert _names(here) == {"ct.mha", "femur.nii.gz"}
        _check_labels(here / "femur.nii.gz", _ct(), 1e-4)

    @pytest.mark.parametrize("ending", [".nrrd", ".mha"])
    def test_nifti_to_another_kind(self, ending: str, stock: Stock, here: Path) -> None:
        sitk.WriteImage(_ct(), "ct.nii.gz")
        assert launch(["-i", "ct.nii.gz", "-o", f"new/femur{ending}", "--ml"]) == 0
        _check_labels(here / "new" / f"femur{ending}", sitk.ReadImage("ct.nii.gz"), 1e-5)

    def test_dicom_to_another_kind(self, stock: Stock, here: Path, write_slices: Callable[..., Path]) -> None:
        write_slices(here / "dicom", np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6))
        assert launch(["-i", "dicom", "-o", "femur.nrrd", "--ml"]) == 0
        labels = sitk.ReadImage("femur.nrrd")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(labels).ravel(), np.arange(120) % 7)
        assert labels.GetSpacing() == (20.0, 21.0, 60.0)

    def test_the_run_report_names_what_was_typed(self, stock: Stock, here: Path) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        assert launch(["-i", "ct.nrrd", "-o", "femur.nrrd", "--ml", "-rp", "report.json"]) == 0
        assert json.loads((here / "report.json").read_text()) == {
            "input": str(here / "ct.nrrd"),
            "output": str(here / "femur.nrrd"),
            "classes": {"1": "spleen"},
        }

    def test_no_output_is_asked_for(self, stock: Stock, here: Path) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        assert launch(["-i", "ct.nrrd", "-o", "femur.nrrd", "--ml", "--skip_saving"]) == 0
        assert _names(here) == {"ct.nrrd"}

    def test_status_of_the_stock_program(self, stock: Stock, here: Path, tmp_path: Path) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        (here / "femur.nrrd").write_text("of an earlier run")
        assert launch(["-i", "ct.nrrd", "-o", "femur.nrrd", "--ml", "--debug"]) == 3
        assert (here / "femur.nrrd").read_text() == "of an earlier run"
        assert _names(here) == {"ct.nrrd", "femur.nrrd"}
        assert _names(tmp_path / "temporary") == set()

    def test_no_space_for_the_copy(self, stock: Stock, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        sitk.WriteImage(_ct(), "ct.nrrd")
        monkeypatch.setattr(nibabel, "save", full)
        with refused("cannot-write", "TMPDIR"):
            launch(["-i", "ct.nrrd", "-o", "masks"])
        assert stock.typed == []

    def test_says_what_it_does_unless_quiet(self, stock: Stock, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        launch(["-i", "ct.nrrd", "-o", "femur.nrrd", "--ml"])
        assert capsys.readouterr().err.startswith("ct.nrrd: ")
        launch(["-i", "ct.nrrd", "-o", "femur.nrrd", "--ml", "-q"])
        assert capsys.readouterr().err == ""


class TestUntouched:
    """The stock program takes our place, with the very same arguments."""

    @pytest.mark.parametrize(
        "typed",
        [
            ["-i", "ct.nii.gz", "-o", "masks"],
            ["-i", "ct.nii", "-o", "out.nii.gz", "-ml", "-rs", "femur_left"],
            ["-i", "dicom", "-o", "seg.dcm", "-ot", "dicom_seg"],
            ["-i", "dicom", "-o", "seg.nrrd", "-ot", "nifti", "dicom_seg"],
            ["-i", "dicom.zip", "-o", "masks"],
            ["-i", "missing.nii.gz", "-o", "masks"],
            ["-i", "missing", "-o", "masks"],
            ["-i", "ct.nii", "-o", "folder.nrrd"],
            ["--help"],
            ["-i", "ct.nrrd", "--version"],
            ["--list-tasks"],
            ["-lc", "total_mr", "-i", "ct.nrrd"],
            ["-o", "masks"],
            [],
            ["-i"],
            ["--stat", "-i", "ct.nrrd"],
            ["--input", "ct.nrrd", "-o", "masks"],
        ],
    )
    def test_what_it_can_do_or_refuses(self, typed: list[str], stock: Stock, here: Path) -> None:
        for name in ("ct.nii", "ct.nii.gz", "ct.nrrd"):
            (here / name).touch()
        for name in ("dicom", "folder.nrrd"):
            (here / name).mkdir()
        with zipfile.ZipFile(here / "dicom.zip", "w") as archive:
            archive.writestr("slice.dcm", "")
        with pytest.raises(ReplacedError):
            launch(typed)
        assert stock.replaced == typed
        assert stock.typed == []


class TestRefused:
    @pytest.mark.parametrize(
        ("typed", "code", "file"),
        [
            (["-i", "ct.nrrd", "-o", "femur.nrrd"], "invalid-option", "femur.nrrd"),
            (["-i", "ct.nii", "-o", "femur.mha"], "invalid-option", "femur.mha"),
            (["-i", "ct.nrrd", "-o", "femur.nhdr", "--ml"], "invalid-name", "femur.nhdr"),
            (["-i", "ct.nrrd", "-o", "./ct.nrrd", "--ml"], "exists", "ct.nrrd"),
            (["-i", "ct.nrrd", "-o", "seg.dcm", "-ot", "dicom_seg"], "invalid-option", "ct.nrrd"),
            (["-i", "missing.nrrd", "-o", "masks"], "unreadable", "missing.nrrd"),
            (["-i", "text.nrrd", "-o", "masks"], "unreadable", "text.nrrd"),
            (["-i", "notes.txt", "-o", "masks"], "unreadable", "notes.txt"),
        ],
    )
    def test_before_the_stock_program_is_run(
        self, typed: list[str], code: str, file: str, stock: Stock, here: Path
    ) -> None:
        sitk.WriteImage(_ct(), "ct.nrrd")
        for name in ("text.nrrd", "notes.txt"):
            (here / name).write_text("text")
        with refused(code, f"{file}: "):
            launch(typed)
        assert stock.typed == []
        assert stock.replaced is None

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
    @pytest.mark.parametrize(
        "typed", [["-i", "{}", "-o", "masks"], ["-i", "ct.nrrd", "-o", "{}", "--ml"], ["-i", "{}"]]
    )
    def test_names_that_are_not_utf8(self, typed: list[str], stock: Stock, here: Path) -> None:
        name = os.fsdecode(b"m\xfcller.nrrd")
        for each in ("ct.nrrd", name):
            (here / each).write_bytes(b"")
        with refused("invalid-name"):
            launch([each.format(name) for each in typed])
        assert stock.typed == []


class TestWithoutOutput:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr(launching, "run_on_volume", lambda *given, **_: calls.append(given))
        monkeypatch.setattr(launching, "device_name", lambda device: "mps" if device == "auto" else device)
        return calls

    def test_is_the_baseline(self, calls: list, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (here / "ct.nrrd").touch()
        assert launch(["-i", "ct.nrrd", "-ta", "total"]) == 0
        assert launch(["-i=ct.nrrd", "--fast", "-rc", "-d", "gpu:1", "-q"]) == 0
        assert calls == [
            (Path("ct.nrrd"), here / "ct_femur.nrrd", Settings(device="mps")),
            (Path("ct.nrrd"), here / "ct_femur.nrrd", Settings(fast=True, robust_crop=True, device="gpu:1")),
        ]
        assert capsys.readouterr().out.split() == [str(here / "ct_femur.nrrd")] * 2

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (["-ml"], "--ml"),
            (["-rs", "femur_left"], "--roi_subset"),
            (["-ta", "total_mr", "-s"], "--statistics, --task"),
        ],
    )
    def test_other_options_need_an_output(self, options: list[str], named: str, calls: list, here: Path) -> None:
        with refused("invalid-option", f"{named}: "):
            launch(["-i", "ct.nrrd", *options])
        assert calls == []

    @pytest.mark.parametrize("name", ["ct_femur.nrrd", "ct_femur.run.json"])
    def test_files_of_others_stay(self, name: str, calls: list, here: Path) -> None:
        (here / "ct.nrrd").touch()
        (here / name).write_text("mine")
        with refused("exists", f"{name}: "):
            launch(["-i", "ct.nrrd"])
        assert calls == []
        assert (here / name).read_text() == "mine"

    def test_mask_beside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "dicom.nrrd").mkdir()
        monkeypatch.chdir(tmp_path / "dicom.nrrd")
        assert mask_beside(Path()) == mask_beside(tmp_path / "dicom.nrrd") == tmp_path / "dicom.nrrd_femur.nrrd"
        names = {"ct.nrrd": ".nrrd", "ct.NII.GZ": ".nii.gz", "ct.mha": ".mha", "ct.nhdr": ".nrrd", "ct.mhd": ".nrrd"}
        for name, ending in names.items():
            assert mask_beside(Path("/a.b") / name) == Path("/a.b") / f"ct_femur{ending}"


@pytest.mark.integration
def test_real_program_as_typed_in_a_shell(cell: Cell, tmp_path: Path) -> None:
    """Through `eval`, from a shell that finds another Python, with dummy weights."""
    ct = make_phantom(1, side="left", size_zyx=(14, 12, 12), spacing_mm_zyx=(6.0, 6.0, 6.0)).image
    ct = sitk.DICOMOrient(ct, "PIL")
    ct.SetDirection((np.reshape(_ct("LPS").GetDirection(), (3, 3)) @ np.reshape(ct.GetDirection(), (3, 3))).ravel())
    ct.SetOrigin((12.3456789, -103.3333333, 1023.1415926))
    folder = tmp_path / "a 'b' $c"
    folder.mkdir()
    sitk.WriteImage(ct, str(folder / "ct.nrrd"))
    sitk.WriteImage(ct, str(folder / "same.nii.gz"))
    (folder / "nnunet_femur.py").write_text("raise SystemExit('a module of the current folder was imported')")
    options = "--fast --device cpu --nr_thr_saving 1"
    lines = [
        'set -eu; eval "$1"; eval "$1"',
        f'TotalSegmentator -i ct.nrrd -o "o ut/all.nrrd" --ml --statistics --report report.json {options} >&2',
        f"TotalSegmentator -i same.nii.gz -o stock.nii.gz -ml -q {options} >&2",
        "TotalSegmentator -i=ct.nrrd --fast -d cpu",
        'echo "$PATH"',
    ]
    exports = cell.run("env", str(tmp_path / "data")).stdout
    without_python = tmp_path / "bin"
    without_python.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines), "sh", exports],
        cwd=folder,
        env={**cell.variables(), "PATH": str(without_python), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    femur, path = done.stdout.splitlines()[-2:]
    assert path.split(os.pathsep)[1:] == [str(without_python)]
    assert Path(femur) == folder / "ct_femur.nrrd"
    grid = Geometry.of(ct)
    everything, mask, expected = (
        sitk.ReadImage(str(folder / name)) for name in ("o ut/all.nrrd", "ct_femur.nrrd", "stock.nii.gz")
    )
    for image in (everything, mask):
        assert not Geometry.of(image).differences(grid, tolerance_voxels=1e-9)
    labels = sitk.GetArrayFromImage(everything)
    np.testing.assert_array_equal(labels, sitk.GetArrayFromImage(expected))
    assert len(np.unique(labels)) > 2
    # TotalSegmentator's 75 and 76 are the femurs.
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), np.isin(labels, (75, 76)))
    report = json.loads((folder / "report.json").read_text())
    assert (report["input"], report["output"]) == (str(folder / "ct.nrrd"), str(folder / "o ut" / "all.nrrd"))
    assert _names(folder / "o ut") == {"all.nrrd", "statistics.json"}
    header = nibabel.load(folder / "stock.nii.gz").header
    assert header.extensions, "the stock program's own file was written again"
