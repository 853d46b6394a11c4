"""One phantom, and a cohort of them laid out as a hospital would send it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnunet_femur.atomic_files import write_json
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.testing.anatomy import draw_leg
from nnunet_femur.testing.shapes import Points
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk


Side = Literal["left", "right"]
Size = tuple[int, int, int]
Spacing = tuple[float, float, float]

HU_RANGE = (-1024, 3071)
"""Lowest and highest HU a scanner stores; padding may lie below."""

PADDINGS_HU = (-1024, -3024)
"""Padding of most cases, and of one in seven."""

_SLAB_VOXELS = 2**18  # Slabs of about a megabyte per array stay in the processor's cache.


@dataclass(frozen=True)
class Phantom:
    """A thigh CT and its exact femur mask, on one grid with identity direction (LPS).

    Attributes:
        image: int16 HU; the padding value outside the scanner's circular field of view.
        mask: uint8, 1 where a voxel's centre lies in the femur (cortex, marrow and all), else 0.
        side: Which leg it is.
    """

    image: sitk.Image
    mask: sitk.Image
    side: Side


def make_phantom(
    seed: int,
    *,
    side: Side = "left",
    size_zyx: Size = (96, 64, 64),
    spacing_mm_zyx: Spacing = (5.0, 3.0, 3.0),
    padding_hu: int = PADDINGS_HU[0],
    noise_hu: float = 18.0,
    blur_mm: float = 0.8,
) -> Phantom:
    """Make one phantom, with the femur in the middle of the field of view.

    The seed draws the anatomy, the origin and the noise; the same seed shows the same leg at any size and spacing.
    A field of view smaller than the bone crops it, down to nothing if a few voxels miss it; the default one holds
    every bone whole.

    Args:
        seed: Any number from 0.
        side: Which leg; the femoral head points to the other side of the patient.
        size_zyx: Voxels along z, y, x.
        spacing_mm_zyx: Distance of neighbouring voxels along z, y, x in mm.
        padding_hu: Value outside the circular field of view (int16).
        noise_hu: Standard deviation of the noise.
        blur_mm: Standard deviation of the point spread function in mm.

    Raises:
        InputError: The seed or noise or blur is negative, or a size or spacing not positive.
    """
    import SimpleITK as sitk

    _require(seed, size_zyx, spacing_mm_zyx)
    if noise_hu < 0 or blur_mm < 0:
        msg = f"Noise of {noise_hu} HU and blur of {blur_mm} mm: neither can be negative."
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    leg = draw_leg(rng)
    turn = np.deg2rad(rng.uniform(-10, 10))
    origin_mm_xyz = np.round(rng.uniform(-300, 300, 3), 1)

    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * s).astype(np.float32) for n, s in zip(size_zyx, spacing_mm_zyx, strict=True)
    )
    outwards = x * (1 if side == "left" else -1)
    middle = leg.box.mean(0)
    points = Points(
        x=(middle[0] - np.cos(turn) * outwards[None, None] + np.sin(turn) * y[None, :, None]).astype(np.float32),
        y=(middle[1] + np.sin(turn) * outwards[None, None] + np.cos(turn) * y[None, :, None]).astype(np.float32),
        z=(middle[2] + z[:, None, None]).astype(np.float32),
    )
    hu = np.empty(size_zyx, np.float32)
    mask = np.empty(size_zyx, np.uint8)
    voxel_mm = float(np.cbrt(np.prod(spacing_mm_zyx)))
    for slab in _slabs(size_zyx):
        hu[slab], femur = leg.tissues(points[slab, :, :], voxel_mm)
        mask[slab] = femur < 0
    hu = _scanned(hu, rng, noise_hu, [blur_mm / s for s in spacing_mm_zyx])
    image = np.clip(np.rint(hu), *HU_RANGE).astype(np.int16)
    radius_mm = max(n * s for n, s in zip(size_zyx[1:], spacing_mm_zyx[1:], strict=True)) / 2
    unseen = np.square(y)[:, None] + np.square(x) > radius_mm**2
    image[:, unseen] = padding_hu
    mask[:, unseen] = 0

    volumes = [sitk.GetImageFromArray(array) for array in (image, mask)]
    for volume in volumes:
        volume.SetSpacing([float(s) for s in reversed(spacing_mm_zyx)])
        volume.SetOrigin(origin_mm_xyz.tolist())
    return Phantom(volumes[0], volumes[1], side)


def _require(seed: int, size_zyx: Size, spacing_mm_zyx: Spacing) -> None:
    if seed < 0:
        msg = f"Seed {seed}: give a number from 0."
        raise InputError(msg)
    if len(size_zyx) != 3 or min(size_zyx) < 1:
        msg = f"Size {size_zyx}: give three numbers of voxels (z, y, x) from 1."
        raise InputError(msg)
    if len(spacing_mm_zyx) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_mm_zyx):
        msg = f"Spacing {spacing_mm_zyx}: give three distances (z, y, x) above 0 mm."
        raise InputError(msg)


def _slabs(size_zyx: Size) -> Iterator[slice]:
    depth = max(1, _SLAB_VOXELS // (size_zyx[1] * size_zyx[2]))
    return (slice(start, min(start + depth, size_zyx[0])) for start in range(0, size_zyx[0], depth))


def _scanned(hu: np.ndarray, rng: np.random.Generator, noise_hu: float, blur_zyx: list[float]) -> np.ndarray:
    """Noise and blur in one pass; the noise goes in stronger by what the blur takes from it.

    Args:
        hu: Sharp HU; changed in place.
        rng: Source of the noise.
        noise_hu: Standard deviation of the noise after the blur.
        blur_zyx: Standard deviation of the blur in voxels.
    """
    from scipy import ndimage

    # The blurred identity holds the weights of every voxel along an axis, those at the borders too.
    weights = [
        ndimage.gaussian_filter(np.eye(n), [sigma, 0], mode="nearest")
        for n, sigma in zip(hu.shape, blur_zyx, strict=True)
    ]
    kept = np.prod([np.linalg.norm(w) / np.sqrt(len(w)) for w in weights])
    hu += rng.standard_normal(hu.shape, np.float32) * np.float32(noise_hu / kept)
    return ndimage.gaussian_filter(hu, blur_zyx, mode="nearest")


def write_phantoms(
    folder: Path,
    *,
    cases: int,
    seed: int,
    size_zyx: Size,
    spacing_mm_zyx: Spacing,
    progress: Progress = SILENT,
) -> list[str]:
    """Write phantoms as a hospital's pairs: ``Images/L101_CT.nrrd`` and ``GoldStandard/L101_GS.nrrd``.

    The letter is the side and the number the patient; half are lefts. A case depends on its place in the cohort, the
    seed, the size and the spacing, not on the number of cases. ``phantoms.json`` names what was asked for, so that a
    second call writes what is missing, and one with other parameters replaces the cohort.

    Args:
        folder: Where to write; made if missing.
        cases: Number of cases, from 1.
        seed: Any number from 0.
        size_zyx: Voxels along z, y, x.
        spacing_mm_zyx: Distance of neighbouring voxels along z, y, x in mm.
        progress: Receives the progress.

    Returns:
        The names of the cases in the order of their numbers.

    Raises:
        InputError: A number makes no sense, or the folder holds volumes that are no phantoms.
    """
    if cases < 1:
        msg = f"{cases} cases: give a number from 1."
        raise InputError(msg)
    _require(seed, size_zyx, spacing_mm_zyx)
    names = _case_names(cases, seed)
    _claim(
        folder,
        names,
        {
            "version": __version__,
            "seed": seed,
            "size_zyx": [int(n) for n in size_zyx],
            "spacing_mm_zyx": [float(s) for s in spacing_mm_zyx],
        },
    )
    for index, name in enumerate(track(names, "Phantoms", cases, progress=progress)):
        files = _files(folder, name)
        if not all(file.is_file() for file in files):
            rng = np.random.default_rng([seed, index])
            phantom = make_phantom(
                int(rng.integers(2**31)),
                side="left" if name.startswith("L") else "right",
                size_zyx=size_zyx,
                spacing_mm_zyx=spacing_mm_zyx,
                padding_hu=PADDINGS_HU[index % 7 == 3],
                noise_hu=rng.uniform(8, 30),
                blur_mm=rng.uniform(0.5, 1.1),
            )
            for volume, file in zip((phantom.image, phantom.mask), files, strict=True):
                write_volume(volume, file)
    return names


def _case_names(cases: int, seed: int) -> list[str]:
    """Names of the first cases of a cohort; one side of every pair of neighbours is a left."""
    rng = np.random.default_rng(seed)
    names, number = [], 100
    for index in range(cases):
        if index % 2 == 0:
            sides = rng.permutation(["L", "R"])
        number += int(rng.integers(1, 7))
        names.append(f"{sides[index % 2]}{number}")
    return names


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / "Images" / f"{name}_CT.nrrd", folder / "GoldStandard" / f"{name}_GS.nrrd"


def _claim(folder: Path, names: list[str], parameters: dict[str, Any]) -> None:
    """Make the folder ready for a cohort: keep what fits, remove phantoms that do not, refuse what is not ours."""
    record = folder / "phantoms.json"
    old: dict[str, Any] = {}
    if record.is_file():
        try:
            old = json.loads(record.read_text(encoding="utf-8"))
            old_names = set(old.pop("cases"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{record}: cannot be read. Remove the folder, or give another one."
            raise InputError(msg) from error
        for name in old_names - set(names) if old == parameters else old_names:
            for file in _files(folder, name):
                file.unlink(missing_ok=True)
    elif folder.is_file() or any(volume_ending(file) for file in folder.glob("[IG]*/*")):
        msg = f"{folder}: holds something else than phantoms. Give an empty or a new folder."
        raise InputError(msg)
    for file in _files(folder, names[0]):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, {**parameters, "cases": names})
