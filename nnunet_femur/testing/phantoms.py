"""Procedural femur phantoms: one CT with its exact mask, and a cohort in the layout of a hospital's files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnunet_femur.atomic_files import cannot_write, write_json
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import Geometry, volume_ending
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.testing.anatomy import draw_leg
from nnunet_femur.testing.shapes import Points
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import SimpleITK as sitk

    from nnunet_femur.testing.leg import Leg


Side = Literal["left", "right"]
"""Side of a leg."""


Size = tuple[int, int, int]
"""Number of voxels along z, y, x."""


Spacing = tuple[float, float, float]
"""Spacing along z, y, x in mm."""

HU_RANGE = (-1024, 3071)
"""Lowest and highest HU that a scanner stores; padding may be lower."""

PADDINGS_HU = (-1024, -3024)
"""Padding in HU of most cases, and of one in seven."""

_PROXIMAL_SHAFT_RADII = (3.2, 6.4)
"""Distances below the head's centre between which the shaft's axis is that of its neck-shaft angle, in head radii."""

_SLAB_VOXELS = 2**18
"""Voxels of a slab; its arrays of about 1 MB stay in the processor's cache."""


@dataclass(frozen=True, repr=False)
class Phantom:
    """A thigh CT and its exact femur mask, on one grid with identity direction (LPS).

    Attributes:
        image: CT in HU, int16; outside the scanner's circular field of view, the padding value.
        mask: Exact mask, uint8: 1 where the centre of a voxel is in the femur (cortex and marrow), else 0.
        side: Side of the leg, "left" or "right".
        truth: Values that the bone was constructed with, by their keys in measurements: `head_center_mm_lps`,
            `head_radius_mm`, `neck_axis_lps`, and `neck_shaft_angle_deg`. The bone's surface, which has small bumps and
            fillets, follows them to about one millimetre and three degrees.

    Example:
        >>> phantom = make_phantom(3, side="right")
        >>> phantom
        Phantom(right, 64 x 64 x 96 voxels of 3 x 3 x 5 mm)
        >>> 115 < phantom.truth["neck_shaft_angle_deg"] < 135
        True
    """

    image: sitk.Image
    mask: sitk.Image
    side: Side
    truth: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the side, and the size and spacing along x, y, z."""
        grid = (self.image.GetSize(), self.image.GetSpacing())
        size, spacing = (" x ".join(f"{each:g}" for each in of) for of in grid)
        return f"{type(self).__name__}({self.side}, {size} voxels of {spacing} mm)"


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
    """Return one phantom, with the femur in the middle of the field of view.

    The seed determines the anatomy, the origin and the noise. The same seed gives the same leg at any size and spacing.
    A field of view smaller than the bone crops it; the default one contains every bone as a whole.

    Args:
        seed: Seed, 0 or more.
        side: Side of the leg, "left" or "right".
        size_zyx: Number of voxels along z, y, x.
        spacing_mm_zyx: Spacing along z, y, x in mm.
        padding_hu: Value outside the circular field of view (int16).
        noise_hu: Standard deviation of the noise in HU.
        blur_mm: Standard deviation of the point spread function in mm.

    Raises:
        InputError: Seed, noise or blur is negative, or size or spacing is not positive (code "invalid-option").

    Example:
        >>> import SimpleITK as sitk
        >>> phantom = make_phantom(3, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
        >>> voxels = int(sitk.GetArrayViewFromImage(phantom.mask).sum())
        >>> 300 < voxels * 10 * 6 * 6 / 1000 < 800  # ml
        True
    """
    import SimpleITK as sitk

    _require(seed, size_zyx, spacing_mm_zyx)
    if noise_hu < 0 or blur_mm < 0:
        msg = f"noise_hu and blur_mm must be 0 or more, got {noise_hu} and {blur_mm}."
        raise InputError(msg, code="invalid-option")
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
    hu = _with_noise_and_blur(hu, rng, noise_hu, [blur_mm / s for s in spacing_mm_zyx])
    image = np.clip(np.rint(hu), *HU_RANGE).astype(np.int16)
    radius_mm = max(n * s for n, s in zip(size_zyx[1:], spacing_mm_zyx[1:], strict=True)) / 2
    unseen = np.square(y)[:, None] + np.square(x) > radius_mm**2
    image[:, unseen] = padding_hu
    mask[:, unseen] = 0

    volumes = [sitk.GetImageFromArray(array) for array in (image, mask)]
    for volume in volumes:
        volume.SetSpacing([float(s) for s in reversed(spacing_mm_zyx)])
        volume.SetOrigin(origin_mm_xyz.tolist())
    # From the leg's frame to the patient's: the inverse of the points above, which is the same reflection.
    away = 1 if side == "left" else -1
    axes = np.array([[-np.cos(turn) * away, np.sin(turn) * away, 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    center = Geometry.of(volumes[1]).corners_mm.mean(0)
    return Phantom(volumes[0], volumes[1], side, _truth(leg, axes, center - axes @ middle))


def write_phantoms(
    folder: str | Path,
    *,
    cases: int,
    seed: int,
    size_zyx: Size,
    spacing_mm_zyx: Spacing,
    progress: Progress = SILENT,
) -> list[str]:
    """Write phantoms as pairs of files: ``Images/L101_CT.nrrd`` and ``GoldStandard/L101_GS.nrrd``.

    The letter is the side, and the number is the patient; half of the cases are left. A case depends on its position in
    the cohort, the seed, the size and the spacing, but not on the number of cases. ``phantoms.json`` records the
    arguments. A second call writes missing files only, and a call with other arguments replaces the cohort.

    Args:
        folder: Folder of the cohort; created if missing.
        cases: Number of cases, 1 or more.
        seed: Seed, 0 or more.
        size_zyx: Number of voxels along z, y, x.
        spacing_mm_zyx: Spacing along z, y, x in mm.
        progress: Receives the progress.

    Returns:
        The names of the cases in the order of their numbers.

    Raises:
        InputError: An argument is out of range (code "invalid-option"), the folder contains other volumes (code
            "exists"), or its ``phantoms.json`` is damaged (code "unreadable").
        SetupError: The folder cannot be written (code "cannot-write").

    Example:
        >>> write_phantoms("cohort", cases=2, seed=7, size_zyx=(24, 16, 16), spacing_mm_zyx=(20.0, 12.0, 12.0))
        ['L104', 'R109']
    """
    folder = Path(folder)
    if cases < 1:
        msg = f"cases must be 1 or more, got {cases}."
        raise InputError(msg, code="invalid-option")
    _require(seed, size_zyx, spacing_mm_zyx)
    names = _case_names(cases, seed)
    _prepare_folder(
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


def _require(seed: int, size_zyx: Size, spacing_mm_zyx: Spacing) -> None:
    problem = None
    if seed < 0:
        problem = f"seed must be 0 or more, got {seed}."
    elif len(size_zyx) != 3 or min(size_zyx) < 1:
        problem = f"size_zyx must be three numbers of voxels from 1, got {size_zyx}."
    elif len(spacing_mm_zyx) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_mm_zyx):
        problem = f"spacing_mm_zyx must be three numbers above 0, got {spacing_mm_zyx}."
    if problem is not None:
        raise InputError(problem, code="invalid-option")


def _truth(leg: Leg, axes: np.ndarray, shift_mm: np.ndarray) -> dict[str, float | tuple[float, ...]]:
    """Return the values that a leg was drawn with, in the patient's space: `axes @ point + shift_mm`."""
    heights = leg.head_mm[2] - leg.head_radius_mm * np.linspace(*_PROXIMAL_SHAFT_RADII, 25)
    line = np.stack([*(np.interp(heights, leg.shaft.z, values) for values in leg.shaft.centre.T), heights], axis=1)
    upwards = np.linalg.svd(line - line.mean(0))[2][0]
    cosine = abs(upwards[2]) / upwards[2] * (leg.neck_axis @ -upwards)
    return {
        "head_center_mm_lps": tuple(float(x) for x in axes @ leg.head_mm + shift_mm),
        "head_radius_mm": leg.head_radius_mm,
        "neck_axis_lps": tuple(float(x) for x in axes @ leg.neck_axis),
        "neck_shaft_angle_deg": float(np.rad2deg(np.arccos(cosine))),
    }


def _slabs(size_zyx: Size) -> Iterator[slice]:
    depth = max(1, _SLAB_VOXELS // (size_zyx[1] * size_zyx[2]))
    return (slice(start, min(start + depth, size_zyx[0])) for start in range(0, size_zyx[0], depth))


def _with_noise_and_blur(
    hu: np.ndarray, rng: np.random.Generator, noise_hu: float, blur_zyx: list[float]
) -> np.ndarray:
    """Return HU with noise and blur, applied in one pass: the noise is amplified by the factor that the blur removes.

    Args:
        hu: Sharp HU; changed in place.
        rng: Source of the noise.
        noise_hu: Standard deviation of the noise after the blur.
        blur_zyx: Standard deviation of the blur in voxels.
    """
    from scipy import ndimage

    # The blurred identity contains the weights of every voxel along an axis, also at the borders.
    weights = [
        ndimage.gaussian_filter(np.eye(n), [sigma, 0], mode="nearest")
        for n, sigma in zip(hu.shape, blur_zyx, strict=True)
    ]
    kept = np.prod([np.linalg.norm(w) / np.sqrt(len(w)) for w in weights])
    hu += rng.standard_normal(hu.shape, np.float32) * np.float32(noise_hu / kept)
    return ndimage.gaussian_filter(hu, blur_zyx, mode="nearest")


def _case_names(cases: int, seed: int) -> list[str]:
    """Return the names of the first cases of a cohort; of two successive cases, one is left and one is right."""
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


def _prepare_folder(folder: Path, names: list[str], parameters: dict[str, Any]) -> None:
    """Prepare the folder of a cohort: keep phantoms of the same arguments, remove others, refuse other volumes."""
    record = folder / "phantoms.json"
    old: dict[str, Any] = {}
    if record.is_file():
        try:
            old = json.loads(record.read_text(encoding="utf-8"))
            old_names = set(old.pop("cases"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"{record}: cannot be read. Remove the folder, or give another one."
            raise InputError(msg, code="unreadable") from error
        for name in old_names - set(names) if old == parameters else old_names:
            for file in _files(folder, name):
                file.unlink(missing_ok=True)
    elif folder.is_file():
        msg = f"{folder}: is a file. Give an empty or a new folder."
        raise InputError(msg, code="exists")
    elif any(volume_ending(file) for file in folder.glob("[IG]*/*")):
        msg = f"{folder}: contains volumes that are not phantoms. Give an empty or a new folder."
        raise InputError(msg, code="exists")
    try:
        for file in _files(folder, names[0]):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, {**parameters, "cases": names})
    except OSError as error:
        raise cannot_write(folder, error) from error
