"""Batches of masks: order, sides, CTs, files, and masks that cannot be read."""

from __future__ import annotations

import csv
import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

import nnunet_femur as nf
from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.measurement import mask_measuring
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.voxelising import grid_around, moved, voxelise
from tests.measurement.known_femur import FEMUR, MIRROR, anatomy, surface
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

SPACING_XYZ = (2.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def right() -> sitk.Image:
    """A right femur at 2 mm."""
    grid = grid_around(surface(), SPACING_XYZ, margin_voxels=6)
    return image_of(voxelise(surface(), grid), grid)


@pytest.fixture(scope="module")
def alone(right: sitk.Image) -> FemurMeasurements:
    """Its measurements."""
    return nf.measure(right)[0]


@pytest.fixture(scope="module")
def both() -> sitk.Image:
    """A right femur, label 2, and its mirror image to the patient's left, label 1."""
    other = moved(surface(), MIRROR, (170.0, 0, 0))
    whole = type(other)(np.vstack([surface().points_mm, other.points_mm]), np.zeros((0, 3), int))
    grid = grid_around(whole, SPACING_XYZ, margin_voxels=6)
    return image_of(voxelise(other, grid) + 2 * voxelise(surface(), grid), grid)


def _write(folder: Path, **images: sitk.Image) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"), True)
    return folder


class TestRealMasks:
    def test_values_are_those_of_the_construction(self, right: sitk.Image, alone: FemurMeasurements) -> None:
        femur = alone
        assert (femur.case, femur.side, femur.side_source) == ("femur", "right", "shape")
        np.testing.assert_allclose(femur["head_center_mm_lps"], FEMUR.head_mm, atol=0.5)
        assert femur["head_radius_mm"] == pytest.approx(24, abs=0.6)
        assert femur["neck_shaft_angle_deg"] == pytest.approx(125, abs=2)
        voxels = int(sitk.GetArrayViewFromImage(right).sum())
        assert femur["volume_ml"] == pytest.approx(voxels * 0.008)

    def test_both_femurs_of_a_mask(self, both: sitk.Image, alone: FemurMeasurements) -> None:
        by_label = nf.measure(both)
        pieces = sitk.Cast(both > 0, sitk.sitkUInt8)
        by_shape = nf.measure(pieces)
        assert [(each.side, each.side_source) for each in by_label] == [("left", "label"), ("right", "label")]
        assert [(each.side, each.side_source) for each in by_shape] == [("left", "shape"), ("right", "shape")]
        for pair in (by_label, by_shape):
            assert pair[1]["neck_shaft_angle_deg"] == pytest.approx(alone["neck_shaft_angle_deg"], abs=1)
            assert pair[0]["version_neck_deg"] == pytest.approx(pair[1]["version_neck_deg"], abs=2)
            assert pair[0].findings == pair[1].findings == ()

    def test_a_mirrored_mask_contradicts_its_name_and_its_label(self, right: sitk.Image, tmp_path: Path) -> None:
        mirrored = sitk.Flip(right, [True, False, False])
        mirrored.SetDirection(right.GetDirection())
        mirrored.SetOrigin(right.GetOrigin())
        folder = _write(tmp_path, R101=mirrored, R102=right)
        wrong, good = nf.measure(folder)
        assert (wrong.side, wrong.side_source) == ("left", "shape")
        assert [found.code for found in wrong.findings] == ["side-contradiction"]
        assert good.findings == ()
        stated = nf.measure(right, side="left")[0]
        assert (stated.side, stated.side_source) == ("left", "label")
        assert [found.code for found in stated.findings] == ["side-contradiction"]

    def test_files_of_a_folder(self, both: sitk.Image, tmp_path: Path) -> None:
        masks = _write(tmp_path / "masks", P1=both, P2=0 * both)
        out = tmp_path / "out"
        made = nf.measure(masks, output=out)
        assert sorted(path.name for path in out.iterdir()) == [
            *("P1_left.mrk.json", "P1_left.png", "P1_right.mrk.json", "P1_right.png"),
            *("measurements.csv", "measurements.json"),
        ]
        assert made.folder == out
        assert made.complete
        records = json.loads((out / "measurements.json").read_text())
        assert [(record["case"], record["side"]) for record in records] == [
            ("P1", "left"),
            ("P1", "right"),
            ("P2", "unknown"),
        ]
        assert {reason["code"] for reason in records[2]["missing"].values()} == {"empty-mask"}
        markups = json.loads((out / "P1_right.mrk.json").read_text())["markups"]
        head = next(each for each in markups[0]["controlPoints"] if each["label"] == "head center")
        np.testing.assert_allclose(head["position"], FEMUR.head_mm, atol=0.5)
        np.testing.assert_allclose(head["position"], records[1]["head_center_mm_lps"], atol=1e-4)
        assert made[1].anatomy is not None
        assert not len(made[1].anatomy.surface.points_mm)

    def test_density(self, right: sitk.Image, alone: FemurMeasurements, tmp_path: Path) -> None:
        """Bone of 500 HU in fat in air: the inner mean is exact; calibration is a line; a crop changes nothing."""
        bone = sitk.GetArrayViewFromImage(right) > 0
        fat = ndimage.binary_dilation(bone, iterations=5)
        hu = np.where(bone, 500, np.where(fat, -100, -1000)).astype(np.int16)
        ct = sitk.GetImageFromArray(hu)
        ct.CopyInformation(right)
        masks, cts = (
            _write(tmp_path / "m", R1=right),
            _write(tmp_path / "c", R1_0000=sitk.Flip(ct, [True, True, False])),
        )
        plain, flipped = nf.measure(right, ct=ct)[0], nf.measure(masks, ct=cts, calibration="0.8,-2")[0]
        assert plain["hu_mean_interior"] == flipped["hu_mean_interior"] == 500
        assert flipped["bmd_mean_interior_mg_cm3"] == pytest.approx(398)
        assert plain.missing["bmd_mean_interior_mg_cm3"].code == "no-calibration"
        assert plain["neck_shaft_angle_deg"] == alone["neck_shaft_angle_deg"]
        box = box_of(bone)[::-1]
        cropped = right[tuple(box)]
        inside = nf.measure(cropped, ct=ct)[0]
        assert [inside[key] for key in CT_QUANTITIES] == pytest.approx(
            [plain[key] for key in CT_QUANTITIES], nan_ok=True
        )


def _quick(mask_zyx: np.ndarray, geometry: Any, *, case: str, side: str) -> FemurMeasurements:
    """Instead of the engine: the side of a mask by its number of voxels, and errors on demand."""
    count = int(np.count_nonzero(mask_zyx))
    if count == 13:
        raise ZeroDivisionError
    if count == 14:
        raise MemoryError
    shape = {8: "left", 27: "right"}.get(count, "unknown")
    source = "label" if side != "unknown" else "shape" if shape != "unknown" else ""
    missing = {key: Missing("not-sharp", "No.") for key in QUANTITIES if key != "volume_ml"}
    given = side if side != "unknown" else shape
    return FemurMeasurements(case, given, source, {"volume_ml": float(count)}, missing, (), anatomy(side="unknown"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_measuring, "measure_mask", _quick)
    monkeypatch.setattr(mask_measuring, "check_sides", lambda *_, **__: [])


def _cubes(*edges: float, shape: int = 40) -> sitk.Image:
    """Cubes of so many voxels along each edge, side by side; a fraction is that many voxels in a row."""
    voxels = np.zeros((shape, shape, shape), np.uint8)
    for number, edge in enumerate(edges):
        where = (slice(5, 5 + edge),) * 2 if isinstance(edge, int) else (slice(5, 6), slice(5, 6))
        length = edge if isinstance(edge, int) else round(edge * 10)
        voxels[(*where, slice(10 * number + 2, 10 * number + 2 + length))] = 1
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    return image


@pytest.mark.usefixtures("quick")
class TestBatch:
    def test_keeps_the_order_and_goes_on_after_errors(self, tmp_path: Path) -> None:
        folder = _write(tmp_path, a=_cubes(2), crash=_cubes(1.3), memory=_cubes(1.4), z=_cubes(3))
        (folder / "damaged.nrrd").write_bytes(b"NRRD0004\ntype: uint8\n")
        (folder / "twice.nrrd").touch()
        (folder / "twice.nii.gz").touch()
        made = nf.measure([folder / "z.nrrd", folder])
        assert [each.case for each in made] == ["z", "a", "crash", "damaged", "memory", "twice"]
        assert made.errors.keys() == {"crash", "damaged", "memory", "twice"}
        codes = {each.case: {reason.code for reason in each.missing.values()} for each in made}
        assert codes["crash"] == {"crash"}
        assert codes["memory"] == {"too-large"}
        assert codes["damaged"] == {"unreadable"}
        assert codes["twice"] == {"duplicate-case"}
        assert all(each.missing.keys() == set(QUANTITIES) for each in made if each.case in made.errors)
        assert names(made.errors["crash"], "crash.nrrd", "ZeroDivisionError")
        frame = made.to_frame()
        assert frame["volume_ml"].isna().tolist() == [False, False, True, True, True, True]

    @pytest.mark.parametrize(
        ("case", "edges", "sides"),
        [
            ("P1", (2,), [("left", "shape")]),
            ("P1", (4,), [("unknown", "")]),
            ("R1", (4,), [("right", "id")]),
            ("femur_left", (4,), [("left", "id")]),
            ("R1", (2,), [("left", "shape")]),
            ("P1", (4, 3), [("left", "other-bone"), ("right", "shape")]),
            ("P1", (4, 4), [("unknown", ""), ("unknown", "")]),
            ("R1", (4, 4), [("unknown", ""), ("unknown", "")]),
            ("P1", (3, 2), [("left", "shape"), ("right", "shape")]),
        ],
    )
    def test_sides(self, tmp_path: Path, case: str, edges: tuple[int, ...], sides: list[tuple[str, str]]) -> None:
        made = nf.measure(_write(tmp_path, **{case: _cubes(*edges)}))
        assert [(each.side, each.side_source) for each in made] == sides

    def test_a_stated_side(self) -> None:
        assert [(f.side, f.side_source) for f in nf.measure(_cubes(4), side="left")] == [("left", "label")]
        assert [f.side for f in nf.measure(_cubes(4, 4), side="left")] == ["unknown", "unknown"]
        with refused("invalid-option", "side"):
            nf.measure(_cubes(4), side="up")

    def test_arguments_are_checked(self) -> None:
        with refused("invalid-option", "masks", "None"):
            nf.measure(None)
        with refused("invalid-option", "jobs", "0"):
            nf.measure(_cubes(4), jobs=0)

    def test_output_to_a_table(self, tmp_path: Path) -> None:
        made = nf.measure(_cubes(2), output=tmp_path / "new" / "one.csv")
        assert made.folder is None
        assert made[0].anatomy is not None
        assert len(made[0].anatomy.surface.points_mm)
        with (tmp_path / "new" / "one.csv").open() as file:
            assert [row["volume_ml"] for row in csv.DictReader(file)] == ["8.0"]
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.csv"]

    def test_output_is_checked_first(self, tmp_path: Path) -> None:
        with refused("invalid-name", "one.xlsx"):
            nf.measure(_cubes(1.3), output=tmp_path / "one.xlsx")
        (tmp_path / "file").touch()
        with refused("cannot-write", "file"):
            nf.measure(_cubes(1.3), output=tmp_path / "file" / "out")

    def test_a_rerun_replaces_its_files(self, tmp_path: Path) -> None:
        masks, out = _write(tmp_path / "m", R1=_cubes(2)), tmp_path / "out"
        nf.measure(masks, output=out)
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        for path in out.iterdir():
            path.write_bytes(b"old")
        nf.measure(masks, output=out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    def test_files_of_an_earlier_result_are_removed(self, tmp_path: Path) -> None:
        masks, out = _write(tmp_path / "m", P1=_cubes(2), P2=_cubes(3), P3=_cubes(4)), tmp_path / "out"
        nf.measure(masks, output=out)
        files = {path.name for path in out.iterdir()}
        assert {"P1_left.png", "P2_right.mrk.json", "P3.png"} <= files
        for name in ("P2.png", "P1.mrk.json", "P1_right.stl"):
            (out / name).write_text("made by somebody else")
        _write(masks, P1=_cubes(3))
        (masks / "P2.nrrd").write_bytes(b"NRRD0004\n")
        nf.measure([masks / "P1.nrrd", masks / "P2.nrrd"], output=out)
        assert {path.name for path in out.iterdir()} == {
            *("measurements.csv", "measurements.json", "P1_right.mrk.json", "P1_right.png", "P3.mrk.json", "P3.png"),
            *("P2.png", "P1.mrk.json", "P1_right.stl"),
        }
        (out / "measurements.json").write_text('[{"case": "P1", "side": "/../P3"}, 3, {"case": []}]')
        nf.measure(masks / "P1.nrrd", output=out)
        assert (out / "P3.png").is_file()

    def test_progress(self, tmp_path: Path) -> None:
        reports: list[tuple[str, float]] = []

        class Recorder:
            def begin(self, task: str, total: float | None = None) -> None:
                reports.append((task, total or 0))

            def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
                reports.append((task, done))

            def end(self, task: str, message: str = "") -> None:
                reports.append((task, -1))

        nf.measure(_write(tmp_path, a=_cubes(2), b=_cubes(1.3)), progress=Recorder())
        assert reports == [("Measure", 2), ("Measure", 1), ("Measure", 2), ("Measure", -1)]


@pytest.mark.usefixtures("quick")
class TestCts:
    @pytest.fixture
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Instead of density: the number of voxels of the CT that equal 7."""

        def measure_ct(ct: np.ndarray, mask: np.ndarray, *_: Any, calibration: Any) -> tuple[dict, dict, tuple]:
            missing = {key: Missing("not-sharp", "No.") for key in CT_QUANTITIES if key != "hu_mean"}
            return {"hu_mean": float((ct[mask > 0] == 7).sum())}, missing, ()

        monkeypatch.setattr(mask_measuring, "measure_ct", measure_ct)

    @pytest.mark.usefixtures("counted")
    def test_one_that_does_not_fit_leaves_the_shape(self, tmp_path: Path) -> None:
        mask, fits = _cubes(2), sitk.Cast(_cubes(2) * 7, sitk.sitkInt16)
        shifted = sitk.Image(fits)
        shifted.SetOrigin((1.0, 0, 0))
        masks = _write(tmp_path / "m", a=mask, b=mask, c=mask, d=mask)
        cts = _write(tmp_path / "c", a=fits, b=shifted)
        (cts / "d.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
        made = nf.measure(masks, ct=cts)
        assert [each["volume_ml"] for each in made] == [8, 8, 8, 8]
        assert [each["hu_mean"] for each in made] == [8, None, None, None]
        codes = [{each.missing[key].code for key in CT_QUANTITIES if key in each.missing} for each in made]
        assert codes[1:] == [{"grid-differs"}, {"no-ct"}, {"unreadable"}]
        assert list(made.errors) == ["b", "c", "d"]
        assert names(made.errors["b"], "b.nrrd", "origin")
        assert set(CT_QUANTITIES) <= set(made.keys)

    def test_of_an_unreadable_mask(self, tmp_path: Path) -> None:
        (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n")
        sitk.WriteImage(sitk.Image([3, 3, 3], sitk.sitkInt16), str(tmp_path / "ct.nrrd"))
        made = nf.measure(tmp_path / "a.nrrd", ct=tmp_path / "ct.nrrd")
        assert made[0].missing.keys() == {*QUANTITIES, *CT_QUANTITIES}

    def test_calibration_needs_a_ct(self) -> None:
        with refused("invalid-option", "calibration"):
            nf.measure(_cubes(2), calibration="0.8,-2")
        with refused("invalid-option", "much"):
            nf.measure(_cubes(2), ct=_cubes(2), calibration="much")


@pytest.mark.integration
def test_several_processes_give_the_same(right: sitk.Image, both: sitk.Image, tmp_path: Path) -> None:
    masks = _write(tmp_path / "m", R1=right, P2=both)
    (masks / "bad.nrrd").write_bytes(b"NRRD0004\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (nf.measure(masks, output=tmp_path / f"jobs{jobs}", jobs=jobs) for jobs in (1, 2))
    assert one.errors == two.errors
    for name in ("measurements.csv", "measurements.json", "R1_right.mrk.json", "P2_left.png"):
        assert (tmp_path / "jobs1" / name).read_bytes() == (tmp_path / "jobs2" / name).read_bytes()
