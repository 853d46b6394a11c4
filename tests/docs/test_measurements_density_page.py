"""The names, numbers and reasons of docs/measurements_density.md are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

from nnunet_femur.measurement import CT_QUANTITIES
from nnunet_femur.measurement.density.bone_parts import (
    HEAD_END_R,
    NECK_END_R,
    PARTS,
    TROCHANTER_END_R,
    UPPER_SHAFT_END_R,
)
from nnunet_femur.measurement.density.cortex import LEAST_VOXELS, RAYS, SLAB_MM
from nnunet_femur.measurement.density.cortex_edges import WIDE_SIGMAS
from nnunet_femur.measurement.density.ct_quantities import LEVELS_PERCENT, LEVELS_R, level_name
from nnunet_femur.measurement.density.unmeasured import LEAST_METAL_ML, METAL_MARGIN_MM, METAL_MARGIN_VOXELS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "measurements_density.md").read_text(encoding="utf-8")
PACKAGE = Path(__file__).parents[2] / "nnunet_femur" / "measurement" / "density"


def test_every_quantity_is_defined():
    """Names with PART and LEVEL stand for one of each part and level, and all others for themselves."""
    named = re.findall(
        r"`([a-z0-9_]+(?:PART|LEVEL)?[a-z0-9_]*)`", TEXT.replace("_PART", "PART").replace("_LEVEL", "LEVEL")
    )
    levels = [level_name(level, in_radii=False) for level in LEVELS_PERCENT]
    levels += [level_name(level, in_radii=True) for level in LEVELS_R]
    keys = {name.replace("PART", suffix) for name in named for suffix in ("", *(f"_{part}" for part in PARTS))}
    keys = {key.replace("LEVEL", f"_{level}") for key in keys for level in levels}
    # The volume of the whole mask is no quantity of the CT.
    assert set(CT_QUANTITIES) - keys == set()
    unknown = {name for name in named if re.search("PART|LEVEL|_ml|_hu", name)} - {"volumePART_ml"}
    assert all({name.replace("PART", "_head").replace("LEVEL", "_50")} <= set(CT_QUANTITIES) for name in unknown)


def test_parts_have_their_borders():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", TEXT.partition("## HU")[0], re.MULTILINE))
    assert set(rows) == set(PARTS)
    assert f"{HEAD_END_R:g} R" in rows["head"]
    assert f"{HEAD_END_R:g} R and {NECK_END_R:g} R" in rows["neck"]
    assert f"{TROCHANTER_END_R:g} R" in rows["trochanter"]
    assert f"{UPPER_SHAFT_END_R:g} R" in rows["upper_shaft"]


def test_numbers_are_those_of_the_program():
    for text in (
        f"{RAYS} rays",
        f"slab of {SLAB_MM:g} mm",
        f"below {LEAST_VOXELS:g} voxels",
        f"thinner than {WIDE_SIGMAS:g} σ",
        f"{LEAST_METAL_ML:g} ml",
        f"{METAL_MARGIN_MM:g} mm of them, or within {METAL_MARGIN_VOXELS} voxels",
    ):
        assert text in TEXT


def test_every_reason_is_explained():
    modules = ("bone_parts", "cortex", "cortex_edges", "ct_measuring", "density")
    source = "".join((PACKAGE / f"{module}.py").read_text(encoding="utf-8") for module in modules)
    given = set(re.findall(r'Missing\(\s*"([a-z-]+)"', source)) | {"metal", "padding"}
    rows = TEXT.partition("## Reasons for missing values")[2].partition("\n## ")[0]
    assert given <= set(re.findall(r"`([a-z0-9-]+)`", rows))


def test_the_picture_exists():
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert (DOCS / picture).stat().st_size < 150_000
