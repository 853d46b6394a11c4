"""Phantoms: anatomy, sides, exact masks, HU of tissues, and cohorts of files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.progress import Silent
from nnunet_femur.testing import PADDINGS_HU, Phantom, make_phantom, write_phantoms
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

SIZE, SPACING = (96, 64, 64), (5.0, 3.0, 3.0)
SMALL: dict[str, Any] = {"size_zyx": (24, 20, 16), "spacing_mm_zyx": (20.0, 9.0, 12.0)}


def _arrays(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
    return sitk.GetArrayFromImage(phantom.image), sitk.GetArrayFromImage(phantom.mask) > 0


def _mask(seed: int, **options: Any) -> np.ndarray:
    return _arrays(make_phantom(seed, **options))[1]


def _part(mask: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mean voxel (z, y, x) of the mask between two heights in units of the bone's length, from below."""
    voxels = np.argwhere(mask)
    share = (voxels[:, 0] - voxels[:, 0].min()) / np.ptp(voxels[:, 0])
    return voxels[(share >= low) & (share <= high)].mean(0)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


class TestDeterminism:
    def test_same_seed_gives_the_same_voxels_and_geometry(self) -> None:
        one, two = make_phantom(7, **SMALL), make_phantom(7, **SMALL)
        for a, b in zip(_arrays(one), _arrays(two), strict=True):
            np.testing.assert_array_equal(a, b)
        assert Geometry.of(one.image) == Geometry.of(two.image) == Geometry.of(one.mask)

    def test_another_seed_gives_another_bone(self) -> None:
        masks = [_mask(seed, **SMALL) for seed in range(4)]
        assert all((masks[0] != other).any() for other in masks[1:])
        lengths = {int(_mask(seed).any((1, 2)).sum()) for seed in range(6)}
        assert len(lengths) > 2

    def test_types_and_geometry(self) -> None:
        phantom = make_phantom(3, size_zyx=(20, 18, 16), spacing_mm_zyx=(4.0, 3.0, 2.0))
        assert phantom.image.GetPixelID() == sitk.sitkInt16
        assert phantom.mask.GetPixelID() == sitk.sitkUInt8
        assert phantom.image.GetSize() == (16, 18, 20)
        assert phantom.image.GetSpacing() == (2.0, 3.0, 4.0)
        assert phantom.image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
        assert np.linalg.norm(phantom.image.GetOrigin()) > 1


@pytest.mark.parametrize("seed", [0, 1, 2])
class TestAnatomy:
    def test_head_is_medial(self, seed: int) -> None:
        # LPS: x grows to the patient's left, so medial is -x in a left leg.
        for side, medial in (("left", -1), ("right", 1)):
            mask = _mask(seed, side=side)
            head, shaft = _part(mask, 0.98, 1), _part(mask, 0.6, 0.7)
            assert medial * (head[2] - shaft[2]) * SPACING[2] > 15

    def test_condyles_project_backwards_and_the_shaft_bows_forwards(self, seed: int) -> None:
        mask = _mask(seed)
        middle = _part(mask, 0.45, 0.55)[1] * SPACING[1]
        assert _part(mask, 0, 0.06)[1] * SPACING[1] > middle + 15
        assert _part(mask, 0.2, 0.25)[1] * SPACING[1] > middle + 3
        assert _part(mask, 0.74, 0.78)[1] * SPACING[1] > middle + 3

    def test_there_are_two_condyles_behind_and_one_bone_in_front(self, seed: int) -> None:
        mask = _mask(seed, size_zyx=(192, 64, 64), spacing_mm_zyx=(2.5, 2.5, 2.5))
        section = mask[int(_part(mask, 0.02, 0.05)[0])]
        rows = np.flatnonzero(section.any(1))
        crossings = np.abs(np.diff(section.astype(int), axis=1)).sum(1) // 2
        assert crossings[rows[0] + len(rows) // 4] == 1
        assert crossings[rows[-1] - len(rows) // 4] == 2

    def test_size_is_that_of_an_adult_and_all_of_it_is_seen(self, seed: int) -> None:
        mask = _mask(seed)
        volume_ml = mask.sum() * np.prod(SPACING) / 1000
        assert 300 < volume_ml < 800
        assert 390 <= mask.any((1, 2)).sum() * SPACING[0] <= 470
        assert not any(mask.take(end, axis).any() for axis in range(3) for end in (0, -1))

    def test_one_piece_without_holes(self, seed: int) -> None:
        mask = _mask(seed)
        assert ndimage.label(mask)[1] == 1
        np.testing.assert_array_equal(ndimage.binary_fill_holes(mask), mask)


class TestExactness:
    @pytest.mark.parametrize("seed", [0, 5])
    def test_volume_does_not_depend_on_the_grid(self, seed: int) -> None:
        volumes_ml = [
            _mask(seed, size_zyx=size, spacing_mm_zyx=spacing).sum() * np.prod(spacing) / 1000
            for size, spacing in (
                (SIZE, SPACING),
                ((120, 96, 96), (4.0, 2.0, 2.0)),
                ((83, 51, 47), (5.8, 3.8, 4.1)),
            )
        ]
        assert max(volumes_ml) < 1.02 * min(volumes_ml)

    def test_a_crop_shows_the_same_bone(self) -> None:
        whole, crop = _mask(4), _mask(4, size_zyx=(40, 40, 40))
        # The circular field of view hides the corners of a crop.
        middle = np.s_[2:38, 8:32, 8:32]
        np.testing.assert_array_equal(whole[28:68, 12:52, 12:52][middle], crop[middle])
        assert crop[middle].any()

    def test_left_is_not_the_mirrored_right_of_the_next_patient(self) -> None:
        left, right = (_mask(9, side=side) for side in ("left", "right"))
        assert (left != right).any()
        np.testing.assert_array_equal(left, right[:, :, ::-1])  # One seed is one leg, on whichever side.
        assert (left != _mask(10, side="right")[:, :, ::-1]).any()


@dataclass(frozen=True)
class Scan:
    hu: np.ndarray
    mask: np.ndarray
    depth_mm: np.ndarray
    outside_mm: np.ndarray

    @property
    def ends(self) -> tuple[int, int]:
        """First and last slice of the bone."""
        rows = np.flatnonzero(self.mask.any((1, 2)))
        return int(rows[0]), int(rows[-1])


class TestHounsfieldUnits:
    @pytest.fixture(scope="class")
    def scan(self) -> Scan:
        spacing = (2.5, 1.8, 1.8)
        hu, mask = _arrays(make_phantom(1, size_zyx=(192, 104, 104), spacing_mm_zyx=spacing))
        depth, outside = (ndimage.distance_transform_edt(m, spacing) for m in (mask, ~mask))
        return Scan(hu, mask, depth, outside)

    def test_shaft_has_a_cortex_and_a_dark_canal(self, scan: Scan) -> None:
        hu, depth_mm = scan.hu[80:112], scan.depth_mm[80:112]
        assert 1000 < hu[(depth_mm > 2) & (depth_mm < 4)].mean() < 1700
        assert -100 < hu[depth_mm > 10].mean() < 50

    def test_ends_are_spongy(self, scan: Scan) -> None:
        low, high = scan.ends
        for end in (slice(low, low + 16), slice(high - 12, high)):
            assert 150 < scan.hu[end][scan.depth_mm[end] > 6].mean() < 450

    def test_soft_tissue_skin_and_air(self, scan: Scan) -> None:
        section = scan.hu[96]
        soft = section[(scan.outside_mm[96] > 5) & (section > -500)]
        assert np.mean((soft > 0) & (soft < 110)) > 0.5  # muscle
        assert np.mean((soft > -150) & (soft < -50)) > 0.08  # fat
        air = section[(section > -1024) & (section < -900)]
        assert -1010 < air.mean() < -980

    def test_neighbours_are_bone_and_leave_a_gap(self, scan: Scan) -> None:
        low, high = scan.ends
        hip, knee = slice(high - 16, high + 7), slice(low - 7, low + 24)
        for joint in (hip, knee):
            hu, outside_mm = scan.hu[joint], scan.outside_mm[joint]
            bone = (hu > 600) & (outside_mm > 2.5)
            assert bone.sum() > 300
            assert outside_mm[bone].min() < 8
            gap = (outside_mm > 2) & (outside_mm < 2.6)
            assert np.median(hu[gap]) < 250

    def test_noise_has_the_strength_asked_for(self) -> None:
        options: dict[str, Any] = {"size_zyx": (30, 48, 48), "spacing_mm_zyx": (2.0, 1.0, 1.0)}
        calm, noisy = (_arrays(make_phantom(2, noise_hu=n, **options))[0].astype(float) for n in (0.0, 25.0))
        seen = (noisy != PADDINGS_HU[0]) & (calm > -500)
        assert np.std((noisy - calm)[seen]) == pytest.approx(25, rel=0.05)

    def test_blur_softens_edges(self) -> None:
        steepest = [
            np.abs(np.diff(_arrays(make_phantom(2, noise_hu=0, blur_mm=b))[0][48, :, 20:44], axis=0)).max()
            for b in (0.0, 4.0)
        ]
        assert steepest[1] < 0.7 * steepest[0]


class TestFieldOfView:
    @pytest.mark.parametrize("padding_hu", PADDINGS_HU)
    def test_corners_are_padded_and_unmarked(self, padding_hu: int) -> None:
        # Narrower than the knee, so that the field of view cuts the bone.
        hu, mask = _arrays(make_phantom(0, size_zyx=(96, 24, 24), padding_hu=padding_hu))
        padded = (hu == padding_hu).all(0)
        assert (hu[:, [0, 0, -1, -1], [0, -1, 0, -1]] == padding_hu).all()
        assert np.mean(padded) == pytest.approx(1 - np.pi / 4, abs=0.03)
        assert hu[:, ~padded].min() >= -1024
        assert not mask[:, padded].any()
        assert mask[:, ndimage.binary_dilation(padded) & ~padded].any()

    @pytest.mark.parametrize(
        ("size", "spacing"),
        [
            ((1, 1, 1), (1.0, 1.0, 1.0)),
            ((24, 20, 16), (5.0, 3.0, 3.0)),
            ((24, 20, 16), (30.0, 30.0, 30.0)),
            ((7, 1, 9), (0.1, 80.0, 2.0)),
            ((5, 201, 3), (100.0, 0.5, 3.0)),
        ],
    )
    def test_any_size_and_spacing_works(self, size: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
        phantom = make_phantom(2, size_zyx=size, spacing_mm_zyx=spacing)
        hu, mask = _arrays(phantom)
        assert hu.shape == mask.shape == size
        assert phantom.mask.GetSpacing() == spacing[::-1]
        assert -1024 <= hu.min() <= hu.max() <= 3071

    def test_a_field_of_view_smaller_than_the_bone_crops_it(self) -> None:
        mask = _mask(2, size_zyx=(24, 20, 16))
        assert mask[0].any()
        assert mask[-1].any()
        assert not mask.all()

    @pytest.mark.parametrize(
        "options",
        [
            {"seed": -1},
            {"size_zyx": (0, 4, 4)},
            {"size_zyx": (4, 4)},
            {"spacing_mm_zyx": (1, -1, 1)},
            {"spacing_mm_zyx": (1, float("nan"), 1)},
            {"noise_hu": -1},
            {"blur_mm": -0.1},
        ],
    )
    def test_values_out_of_range_are_refused(self, options: dict[str, Any]) -> None:
        with refused("invalid-option", next(iter(options)), next(iter(options.values()))):
            make_phantom(**{"seed": 0, **options})


class TestWriting:
    def test_layout_names_and_sides(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=8, seed=0, **SMALL)
        assert sorted(f.name for f in (tmp_path / "Images").iterdir()) == sorted(f"{n}_CT.nrrd" for n in names)
        assert sorted(f.name for f in (tmp_path / "GoldStandard").iterdir()) == sorted(f"{n}_GS.nrrd" for n in names)
        numbers = [int(name[1:]) for name in names]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] - numbers[0] > 7
        assert sum(name.startswith("L") for name in names) == 4
        for name in names:
            image = read_volume(tmp_path / "Images" / f"{name}_CT.nrrd")
            mask = read_volume(tmp_path / "GoldStandard" / f"{name}_GS.nrrd")
            assert Geometry.of(image) == Geometry.of(mask)
            assert set(np.unique(sitk.GetArrayFromImage(mask))) == {0, 1}
            assert mask.GetPixelID() == sitk.sitkUInt8

    def test_the_letter_is_the_side(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=4, seed=1, size_zyx=(48, 32, 32), spacing_mm_zyx=(10, 6, 6))
        for name in names:
            mask = sitk.GetArrayFromImage(read_volume(tmp_path / "GoldStandard" / f"{name}_GS.nrrd")) > 0
            towards_left = _part(mask, 0.97, 1)[2] - _part(mask, 0.6, 0.7)[2]
            assert (towards_left < 0) == name.startswith("L")

    def test_some_are_padded_otherwise(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=8, seed=0, **SMALL)
        paddings = [
            int(sitk.GetArrayFromImage(read_volume(tmp_path / "Images" / f"{name}_CT.nrrd"))[0, 0, 0]) for name in names
        ]
        assert paddings.count(-3024) == 1
        assert paddings.count(-1024) == 7

    def test_deleted_and_missing_files_come_back_byte_by_byte(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=4, seed=3, **SMALL)
        before = _bytes(tmp_path)
        kept = tmp_path / "Images" / f"{names[0]}_CT.nrrd"
        written = kept.stat().st_mtime_ns
        (tmp_path / "Images" / f"{names[1]}_CT.nrrd").unlink()
        (tmp_path / "GoldStandard" / f"{names[3]}_GS.nrrd").unlink()
        assert write_phantoms(tmp_path, cases=4, seed=3, **SMALL) == names
        assert _bytes(tmp_path) == before
        assert kept.stat().st_mtime_ns == written

    def test_more_cases_continue_the_cohort_and_fewer_shorten_it(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=3, seed=3, **SMALL)
        three = _bytes(tmp_path)
        assert write_phantoms(tmp_path, cases=5, seed=3, **SMALL)[:3] == names
        five = _bytes(tmp_path)
        assert len(five) == 11
        assert all(five[path] == three[path] for path in three if path.endswith(".nrrd"))
        write_phantoms(tmp_path, cases=3, seed=3, **SMALL)
        assert _bytes(tmp_path) == three

    def test_other_parameters_replace_the_cohort(self, tmp_path: Path) -> None:
        fresh, used = tmp_path / "fresh", tmp_path / "used"
        for folder, seed in ((used, 3), (used, 4), (fresh, 4)):
            write_phantoms(folder, cases=2, seed=seed, **SMALL)
        assert _bytes(used) == _bytes(fresh)

    def test_reports_its_progress(self, tmp_path: Path) -> None:
        class Seen(Silent):
            calls: ClassVar[list[Any]] = []

            def begin(self, task: str, total: float | None = None) -> None:
                self.calls.append((task, total))

            def advance(self, task: str, done: float, *, total: float | None = None, note: str = "") -> None:
                self.calls.append((task, done))

        write_phantoms(tmp_path, cases=2, seed=0, progress=Seen(), **SMALL)
        assert Seen.calls == [("Phantoms", 2), ("Phantoms", 1), ("Phantoms", 2)]

    def test_a_folder_with_other_volumes_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        images = tmp_path / "Images"
        images.mkdir()
        (images / "L101_CT.NRRD").write_bytes(b"a patient")
        with refused("exists", tmp_path):
            write_phantoms(tmp_path, cases=1, seed=0, **SMALL)
        assert _bytes(tmp_path) == {"Images/L101_CT.NRRD": b"a patient"}

    @pytest.mark.parametrize("content", ["not json", "{}", "[]", "3"])
    def test_a_damaged_record_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "phantoms.json").write_text(content)
        with refused("unreadable", "phantoms.json"):
            write_phantoms(tmp_path, cases=1, seed=0, **SMALL)

    def test_the_record_contains_the_arguments(self, tmp_path: Path) -> None:
        names = write_phantoms(tmp_path, cases=2, seed=6, **SMALL)
        record = json.loads((tmp_path / "phantoms.json").read_text())
        assert record["cases"] == names
        assert record["seed"] == 6
        assert tuple(record["spacing_mm_zyx"]) == SMALL["spacing_mm_zyx"]

    @pytest.mark.parametrize(
        "options", [{"cases": 0}, {"seed": -1}, {"size_zyx": (8, 8, 0)}, {"spacing_mm_zyx": (0.0, 1, 1)}]
    )
    def test_values_out_of_range_are_refused_before_anything_is_written(
        self, tmp_path: Path, options: dict[str, Any]
    ) -> None:
        with refused("invalid-option", next(iter(options))):
            write_phantoms(tmp_path / "source", **{"cases": 1, "seed": 0, **SMALL, **options})
        assert not (tmp_path / "source").exists()


class TestTruth:
    """The values that a phantom was constructed with, against its voxels."""

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_the_head_is_a_sphere_of_voxels_around_its_centre(self, side) -> None:
        phantom = make_phantom(5, side=side, size_zyx=(240, 100, 100), spacing_mm_zyx=(2.0, 1.5, 1.5))
        center, radius = np.array(phantom.truth["head_center_mm_lps"]), phantom.truth["head_radius_mm"]
        neck = np.array(phantom.truth["neck_axis_lps"])
        assert np.linalg.norm(neck) == pytest.approx(1)
        mask = _arrays(phantom)[1]
        grid = Geometry.of(phantom.mask)
        index_xyz = np.argwhere(np.ones_like(mask))[:, ::-1]
        offsets = index_xyz @ grid.steps_mm.T + grid.origin_mm_xyz - center
        distances = np.linalg.norm(offsets, axis=1)
        away = offsets @ neck > 0.2 * distances
        inside = mask.ravel()
        assert inside[away & (distances < radius - 1.0)].all()
        assert not inside[away & (distances > radius + 1.0) & (distances < radius + 6.0)].any()
        # The neck leads from the head into the bone.
        assert all(inside[np.argmin(np.linalg.norm(offsets + step * neck, axis=1))] for step in (25, 35, 45))

    def test_the_neck_points_to_medial_and_upwards_on_both_sides(self) -> None:
        left, right = (make_phantom(5, side=side, **SMALL).truth for side in ("left", "right"))
        assert left["neck_axis_lps"][0] < 0 < right["neck_axis_lps"][0]
        assert left["neck_axis_lps"][1:] == pytest.approx(right["neck_axis_lps"][1:], abs=0.3)
        assert 0.5 < left["neck_axis_lps"][2] < 0.9
        assert left["neck_shaft_angle_deg"] == right["neck_shaft_angle_deg"]
        assert all(118 < make_phantom(s, **SMALL).truth["neck_shaft_angle_deg"] < 135 for s in range(6))
