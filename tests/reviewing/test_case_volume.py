"""Pictures of a case: what the page decodes is what the files contain, within the size that is promised."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from nnunet_femur.imaging.geometry import RAS, Geometry
from nnunet_femur.reviewing import case_volume
from nnunet_femur.reviewing.case_volume import CaseVolume, encoded_surface


def _grid(shape_zyx, spacing_mm=1.0, direction=RAS.direction):
    return Geometry(tuple(shape_zyx[::-1]), (spacing_mm,) * 3, (5.0, -7.0, 11.0), direction)


@pytest.fixture
def volume():
    """A ball in noise, with disagreement on one side."""
    shape = (30, 26, 22)
    z, y, x = np.indices(shape)
    mask = (z - 14) ** 2 + (y - 12) ** 2 + (x - 10) ** 2 < 64
    hu = np.where(mask, 800, 0).astype(np.int16)
    deviation = np.where(mask & (x > 10), 0.5, 0).astype(np.float32)
    return CaseVolume(hu, mask, deviation, _grid(shape))


def _unpacked(encoded, name):
    """Decode a mosaic as the page does."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[name].partition(",")[2]))))
    (slices, height, width), columns = encoded["shape_zyx"], encoded["columns"]
    found = []
    for z in range(slices):
        top, left = z // columns * height, z % columns * width
        found.append(pixels[top : top + height, left : left + width])
    return np.array(found)


def test_the_mask_is_exact_and_the_ct_is_close(volume):
    encoded = volume.at_quality(75)
    mask = _unpacked(encoded, "mask")
    assert np.array_equal(mask[..., 0] > 127, volume.mask_zyx)
    assert np.array_equal(mask[..., 1], np.where(volume.deviation_zyx > 0, 255, 0))
    grey = _unpacked(encoded, "ct")
    grey = grey if grey.ndim == 3 else grey[..., 0]
    assert abs(np.median(grey[volume.mask_zyx]) - (800 + 250) * 255 / 1500) < 6
    assert abs(np.median(grey[~volume.mask_zyx]) - 250 * 255 / 1500) < 6


def test_indices_and_millimetres_fit_each_other(volume):
    encoded = volume.at_quality(35)
    index = np.array([3.0, 4.0, 5.0])
    mm = np.array(encoded["steps_mm"]) @ index + encoded["origin_mm"]
    assert np.allclose(np.array(encoded["index_of_mm"]) @ (mm - encoded["origin_mm"]), index)


def test_resampling_keeps_volume_and_position(volume):
    coarse = volume.resampled(2.0)
    assert max(coarse.geometry.spacing_mm_xyz) <= 2.2
    before = volume.mask_zyx.sum() * volume.geometry.voxel_volume_ml
    assert coarse.mask_zyx.sum() * coarse.geometry.voxel_volume_ml == pytest.approx(before, rel=0.1)

    def centre(of):
        index = np.argwhere(of.mask_zyx).mean(0)[::-1]
        return of.geometry.steps_mm @ index + of.geometry.origin_mm_xyz

    assert np.linalg.norm(centre(coarse) - centre(volume)) < 0.5


@pytest.mark.parametrize("room", [20_000, 6_000])
def test_it_fits_into_the_room_that_there_is(volume, room):
    noisy = CaseVolume(
        np.random.default_rng(0).integers(-250, 1250, (60, 60, 60)).astype(np.int16),
        np.kron(volume.mask_zyx[:20, :20, :20], np.ones((3, 3, 3), bool)),
        None,
        _grid((60, 60, 60)),
    )
    encoded = noisy.encoded(room)
    assert len(encoded["ct"]) + len(encoded["mask"]) <= room


def test_the_surface_is_that_of_the_mask(volume):
    found = encoded_surface(volume, 1_000_000)
    points = np.frombuffer(base64.b64decode(found["points"]), "<u2").reshape(-1, 3) / 65535 * found["scale_mm"]
    points += found["low_mm"]
    triangles = np.frombuffer(base64.b64decode(found["triangles"]), "<u4" if found["wide"] else "<u2").reshape(-1, 3)
    a, b, c = (points[triangles[:, i]] for i in range(3))
    volume_ml = np.einsum("ij,ij->", a, np.cross(b, c)) / 6000
    assert volume_ml == pytest.approx(volume.mask_zyx.sum() * volume.geometry.voxel_volume_ml, rel=0.05)
    deviation = np.frombuffer(base64.b64decode(found["deviation"]), np.uint8)
    left = volume.geometry.index_of(points)[:, 0] > 12
    right = volume.geometry.index_of(points)[:, 0] < 7
    assert deviation[left].mean() > 200
    assert deviation[right].mean() < 50


def test_a_surface_has_fewer_triangles_if_there_is_less_room(volume):
    large, small = (encoded_surface(volume, room) for room in (1_000_000, 8_000))
    assert len(small["triangles"]) < len(large["triangles"])
    assert sum(len(small[name]) for name in ("points", "triangles", "deviation")) <= 8_000


def test_an_empty_mask_has_no_surface(volume):
    empty = CaseVolume(volume.hu_zyx, np.zeros_like(volume.mask_zyx), None, volume.geometry)
    assert encoded_surface(empty, 1000) is None
    assert not (_unpacked(empty.at_quality(75), "mask") > 127).any()


def test_every_orientation_is_shown_in_the_same_way(monkeypatch):
    """The axes of the file are turned to right, anterior, superior before anything else."""
    import SimpleITK as sitk

    monkeypatch.setattr(case_volume, "_MARGIN_MM", 2.0)
    shape = (12, 10, 8)
    mask = np.zeros(shape, np.uint8)
    mask[3:9, 2:7, 1:4] = 1
    image = sitk.GetImageFromArray(mask)

    @dataclass
    class Made:
        femur: object
        ct: object = None
        found: object = None

    @dataclass
    class Files:
        uncertainty: object = None

    @dataclass
    class Mask:
        mask: object

    shown = []
    for order in ("RAS", "LPS", "AIR"):
        turned = sitk.DICOMOrient(image, order)
        volume = CaseVolume.of(Made(Mask(turned), found=Files()))
        first = np.argwhere(volume.mask_zyx)[0][::-1]
        shown.append(
            (volume.mask_zyx.tolist(), tuple(volume.geometry.steps_mm @ first + volume.geometry.origin_mm_xyz))
        )
    assert shown[0] == shown[1] == shown[2]
