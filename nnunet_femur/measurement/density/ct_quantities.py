"""Quantities that need the CT: HU and density of parts, cortex along the shaft, and metal, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.imaging.image_facts import METAL_HU
from nnunet_femur.measurement.density.bone_parts import PART_DEFINITIONS, PART_SOURCES
from nnunet_femur.measurement.density.unmeasured import (
    LEAST_METAL_ML,
    METAL_MARGIN_MM,
    METAL_MARGIN_VOXELS,
    NEAR_MM,
)
from nnunet_femur.measurement.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.measurement.density.cortex import CorticalSection

_NEEDS = {"head": "neck", "neck": "neck", "trochanter": "proximal-shaft", "upper_shaft": "proximal-shaft"}
"""Part of the bone that each part needs, if not the whole bone."""

WHOLE = ""
"""Name of the whole femur among parts; its keys have no suffix."""

LEVELS_PERCENT = (30, 40, 50, 60, 70)
"""Levels of cross-sections in % of the length from the top, of a whole femur."""

LEVELS_R = (3.5, 5.0, 6.0)
"""Levels of cross-sections below the head centre in head radii, also of a femur without its distal end."""

_KINDS = (
    ("hu_mean{}", "mean HU{}", "HU", "Mean of all voxels of the {}, the outermost layer of the mask included."),
    ("hu_median{}", "median HU{}", "HU", "Median of all voxels of the {}."),
    ("hu_sd{}", "SD of HU{}", "HU", "Standard deviation of all voxels of the {}; it includes the noise of the CT."),
    (
        "hu_mean_interior{}",
        "mean HU, interior{}",
        "HU",
        "Mean of the {} without the outermost layer of the mask's voxels, which contain soft tissue (partial volume).",
    ),
    (
        "hu_mean_shell{}",
        "mean HU, outermost voxels{}",
        "HU",
        "Mean of the outermost voxels of the {}: those with a face towards a voxel outside the mask.",
    ),
    ("volume{}_ml", "volume{}", "ml", "Number of voxels of the {} times the volume of a voxel."),
    ("voxels{}", "voxels{}", "1", "Number of voxels of the {} that the values are computed from: without metal, its "
     "margin, and padding."),
    (
        "bmd_mean{}_mg_cm3",
        "bone mineral density{}",
        "mg/cm3",
        "Mean density of the {} in mg/cm3 of K2HPO4, if a calibration is given: slope x mean HU + intercept.",
    ),
    (
        "bmd_mean_interior{}_mg_cm3",
        "bone mineral density, interior{}",
        "mg/cm3",
        "The same without the outermost layer of the mask's voxels.",
    ),
)  # fmt: skip

_HALF_MAXIMUM = "half-maximum edges of radial profiles: Hangartner and Short (2001), limits: Prevrhal et al. (1999)"

_CORTEX = (
    (
        "cortical_area_{}_mm2",
        "cortical area",
        "mm2",
        "Area between the outer and the inner outline of the cortex in the cross-section {}.",
    ),
    (
        "marrow_area_{}_mm2",
        "marrow area",
        "mm2",
        "Area within the inner outline of the cortex in the cross-section {}.",
    ),
    (
        "cortical_thickness_{}_mm",
        "cortical thickness",
        "mm",
        "Mean shortest distance from the outer to the inner outline of the cortex in the cross-section {}.",
    ),
    (
        "cortical_index_{}",
        "cortical index",
        "1",
        "1 - inner / outer diameter of the cortex in the cross-section {}; diameters of circles of equal area.",
    ),
)


def part_key(kind: str, part: str) -> str:
    """Return the key of a quantity of a part, or of the whole femur.

    Example:
        >>> part_key("bmd_mean{}_mg_cm3", "head"), part_key("hu_mean{}", WHOLE)
        ('bmd_mean_head_mg_cm3', 'hu_mean')
    """
    return kind.format(f"_{part}" if part else "")


def level_name(level: float, *, in_radii: bool) -> str:
    """Return the name of a level in keys.

    Example:
        >>> level_name(50, in_radii=False), level_name(3.5, in_radii=True)
        ('50', '3_5r')
    """
    return f"{level:g}".replace(".", "_") + ("r" if in_radii else "")


def section_keys(level: str) -> list[str]:
    """Return the keys of a cross-section.

    Example:
        >>> section_keys("50")[2]
        'cortical_thickness_50_mm'
    """
    return [key.format(level) for key, *_ in _CORTEX]


def section_values(section: CorticalSection, level: str) -> dict[str, float]:
    """Return the values of a cross-section by key."""
    values = (section.cortical_area_mm2, section.marrow_area_mm2, section.thickness_mm, section.index)
    return dict(zip(section_keys(level), values, strict=True))


def _density() -> Iterator[Quantity]:
    for part in (WHOLE, *PART_DEFINITIONS):
        words = part.replace("_", " ") or "whole femur"
        for key, label, unit, definition in _KINDS:
            if key == "volume{}_ml" and part == WHOLE:
                continue  # The volume of the mask is measured without the CT.
            text = definition.format(words)
            if part:
                detail = PART_DEFINITIONS[part]
                text = f"{text} {detail[0].upper()}{detail[1:]}."
            place = f", {words}" if part else ""
            needs = _NEEDS.get(part, "whole") if part else "bone"
            source = PART_SOURCES.get(part, "")
            yield Quantity(part_key(key, part), label.format(place), unit, text, needs, source=source)


def _cortex() -> Iterator[Quantity]:
    levels = [
        (
            level_name(level, in_radii=False),
            f"at {level} % of the length",
            f"across the whole-shaft axis at {level} % of the bone's length along it, from the top",
        )
        for level in LEVELS_PERCENT
    ] + [
        (
            level_name(level, in_radii=True),
            f"{level:g} R below the head",
            f"across the proximal shaft axis at {level:g} head radii below the head centre, measured along it",
        )
        for level in LEVELS_R
    ]
    for name, label, words in levels:
        for key, kind, unit, definition in _CORTEX:
            text, needs = definition.format(words), "proximal-shaft" if name.endswith("r") else "whole"
            yield Quantity(key.format(name), f"{kind} {label}", unit, text, needs, source=_HALF_MAXIMUM)


METAL_QUANTITY = Quantity(
    "metal_volume_ml",
    "metal",
    "ml",
    f"Volume of connected pieces of at least {LEAST_METAL_ML:g} ml above {METAL_HU} HU within {NEAR_MM:g} mm of the "
    f"box around the mask; 0 without metal. Values within {METAL_MARGIN_MM:g} mm of metal, or within "
    f"{METAL_MARGIN_VOXELS} voxels if they are larger, are excluded.",
)

DENSITY_QUANTITIES = tuple(_density())
"""HU, volume and density of the whole femur and of its parts."""

CORTEX_QUANTITIES = tuple(_cortex())
"""Cortex and marrow of cross-sections of the shaft."""

CT_QUANTITIES = {each.key: each for each in (METAL_QUANTITY, *DENSITY_QUANTITIES, *CORTEX_QUANTITIES)}
"""All quantities that need the CT, by key, in the order of tables."""
