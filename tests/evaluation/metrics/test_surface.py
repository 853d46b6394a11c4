"""Distances of surfaces: by hand, against google-deepmind/surface-distance, and what must hold for any mask."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_femur.evaluation import SURFACE_METRICS, Bone, distances
from nnunet_femur.evaluation.distances import MatchedSurfaces, SurfaceDistances, distances_mm

WHOLE = ("volume", "all", "whole")
SIDE = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
OTHER = np.array([0.0, 3.0]), np.array([3.0, 1.0])
BY_HAND = SurfaceDistances(*SIDE, *OTHER)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hd", 4.0),
        ("hd95", 4.0),  # 95 % of the first side's area lies within 4 mm, of the other's within 3 mm.
        ("assd", (0 + 1 + 2 + 4 + 0 * 3 + 3) / 8),
        ("nsd1", (2 + 3) / 8),
        ("nsd2", (3 + 3) / 8),
        ("nsd3", (3 + 4) / 8),
    ],
)
def test_by_hand(name, expected):
    assert SURFACE_METRICS[name].compute(BY_HAND) == pytest.approx(expected)


def test_the_95th_percentile_leaves_out_a_small_part_of_the_area():
    side = np.array([0.0, 1.0, 9.0]), np.array([50.0, 46.0, 4.0])
    assert SURFACE_METRICS["hd95"].compute(SurfaceDistances(*side, *side)) == 1.0
    assert SURFACE_METRICS["hd"].compute(SurfaceDistances(*side, *side)) == 9.0


def test_a_side_without_surfels_is_left_out():
    none = np.zeros(0), np.zeros(0)
    assert SURFACE_METRICS["hd"].compute(SurfaceDistances(*SIDE, *none)) == 4.0
    assert SURFACE_METRICS["assd"].compute(SurfaceDistances(*SIDE, *none)) == 7 / 4
    assert all(np.isnan(metric.compute(SurfaceDistances(*none, *none))) for metric in SURFACE_METRICS.values())


def test_a_box_moved_by_one_slice(scored):
    reference = np.zeros((12, 10, 10), dtype=bool)
    reference[2:8, 2:8, 2:8] = True
    found = scored(reference, np.roll(reference, 1, axis=0), (2.0, 1.0, 1.0))
    assert found[(*WHOLE, "hd")] == found[(*WHOLE, "hd95")] == 2.0  # Not a rounding error above the tolerance of 2 mm.
    assert found[(*WHOLE, "nsd2")] == 1.0
    assert found[(*WHOLE, "nsd1")] < 1.0


def _google(reference, prediction, spacing_mm):
    theirs = pytest.importorskip("surface_distance", reason="surface-distance is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = theirs.compute_surface_distances(reference, prediction, spacing_mm)
        there, back = theirs.compute_average_surface_distance(found)
    areas = found["surfel_areas_gt"].sum(), found["surfel_areas_pred"].sum()
    return {
        "hd95": theirs.compute_robust_hausdorff(found, 95),
        "hd": theirs.compute_robust_hausdorff(found, 100),
        "assd": (there * areas[0] + back * areas[1]) / sum(areas),
    } | {f"nsd{mm}": theirs.compute_surface_dice_at_tolerance(found, mm) for mm in (1, 2, 3)}


MASKS = {
    "seed": st.integers(0, 2**31),
    "shape": st.tuples(*[st.integers(1, 14)] * 3),
    "spacing_mm": st.tuples(*[st.sampled_from([0.3, 0.5, 0.74, 1.0, 2.0, 3.1])] * 3),
    "shares": st.tuples(st.floats(0.05, 0.9), st.floats(0.05, 0.9)),
    "smooth": st.sampled_from([0.0, 0.8, 1.5]),
}


def _pair(blobs, seed, shape, shares, smooth):
    masks = [blobs(seed + place, shape, share, smooth) for place, share in enumerate(shares)]
    for place, mask in enumerate(masks):
        mask[tuple(-place % size for size in shape)] = True
    return masks


@settings(max_examples=60, deadline=None)
@given(looks_nearby=st.booleans(), **MASKS)
def test_agrees_with_surface_distance(blobs, scored, looks_nearby, seed, shape, spacing_mm, shares, smooth):
    masks = _pair(blobs, seed, shape, shares, smooth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "_FEW", 0 if looks_nearby else 10**9)
        ours = scored(*masks, spacing_mm)
    for name, expected in _google(*masks, spacing_mm).items():
        assert ours[(*WHOLE, name)] == pytest.approx(expected, abs=1e-9), name


def test_slices_agree_with_surface_distance(blobs, scored):
    from nnunet_femur.evaluation import Scoring

    spacing_mm = (2.0, 0.74, 1.1)
    masks = _pair(blobs, 5, (9, 11, 12), (0.4, 0.5), 1.5)
    ours = scored(*masks, spacing_mm, scoring=Scoring(slice_surfaces=True))
    for axis, plane in enumerate(("axial", "coronal", "sagittal")):
        across = tuple(spacing_mm[other] for other in range(3) if other != axis)
        slices = zip(*(np.moveaxis(mask, axis, 0) for mask in masks), strict=True)
        theirs = [_google(*pair, across) for pair in slices if pair[0].any() and pair[1].any()]
        assert len(theirs) == masks[0].shape[axis]
        for name in SURFACE_METRICS:
            expected = np.array([one[name] for one in theirs])
            assert ours["slices", plane, "whole", name] == pytest.approx(expected.mean(), abs=1e-9)
            assert ours["slices", plane, "whole", f"{name}_sd"] == pytest.approx(expected.std(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(**MASKS)
def test_properties(blobs, scored, seed, shape, spacing_mm, shares, smooth):
    reference, prediction = _pair(blobs, seed, shape, shares, smooth)
    plain = scored(reference, prediction, spacing_mm)
    swapped = scored(prediction, reference, spacing_mm)
    doubled = scored(reference, prediction, tuple(2 * mm for mm in spacing_mm))
    moved = scored(*(np.pad(mask, ((2, 1), (0, 3), (4, 0))) for mask in (reference, prediction)), spacing_mm)
    same = scored(reference, reference, spacing_mm)
    for name, metric in SURFACE_METRICS.items():
        key = (*WHOLE, name)
        assert swapped[key] == pytest.approx(plain[key], abs=1e-12)
        assert same[key] == metric.ideal
        assert moved[key] == pytest.approx(plain[key], abs=1e-12)
        if metric.unit == "mm":
            assert doubled[key] == pytest.approx(2 * plain[key], abs=1e-9)
    assert doubled[(*WHOLE, "nsd2")] == pytest.approx(plain[(*WHOLE, "nsd1")], abs=1e-12)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 0.74, 0.74), (0.1, 5.0, 0.9), (3.0, 0.5)])
def test_the_shortest_steps(spacing_mm):
    steps, lengths_mm = distances._steps_by_length(spacing_mm)
    assert lengths_mm[0] == 0
    assert (np.diff(lengths_mm) >= 0).all()
    # None is missing: as many steps of a far larger box are no longer than the longest.
    box = np.stack(np.meshgrid(*[np.arange(-150, 151) if mm < 0.2 else np.arange(-30, 31) for mm in spacing_mm]), -1)
    every_mm = np.sqrt(((box.reshape(-1, len(spacing_mm)) * spacing_mm) ** 2).sum(axis=1))
    assert np.sort(every_mm)[: len(steps)] == pytest.approx(lengths_mm)
    assert len(steps) > 20


def _everywhere(surface, other):
    """Distances by comparing each surfel with every other one."""
    steps = (surface.corners[:, None] - other.corners[None]) * np.array(surface.spacing_mm)
    return np.sqrt((steps**2).sum(axis=2)).min(axis=1)


@pytest.mark.parametrize("few", [0, 10**9])
def test_surfaces_far_apart(blobs, monkeypatch, few):
    monkeypatch.setattr(distances, "_FEW", few)
    masks = [np.zeros((12, 15, 40), dtype=bool) for _ in range(2)]
    masks[0][2:10, 2:13, 1:12] = blobs(0, (8, 11, 11))
    masks[1][2:10, 2:13, 28:39] = blobs(1, (8, 11, 11))
    reference, prediction = (Bone(mask, (2.0, 0.74, 0.74)).surface for mask in masks)
    assert distances_mm(reference, prediction) == pytest.approx(_everywhere(reference, prediction), abs=1e-12)


def test_a_part_keeps_its_distances_to_the_whole_other_surface():
    mask = np.zeros((12, 10, 10), dtype=bool)
    mask[2:8, 2:8, 2:8] = True
    matched = MatchedSurfaces.of(*(Bone(one, (1, 1, 1)).surface for one in (mask, np.roll(mask, 2, axis=0))))
    low = [surface.corners[:, 0] <= 4 for surface in (matched.reference, matched.prediction)]
    part = matched.part(*low)
    assert part.reference_mm.size == np.count_nonzero(low[0])
    assert part.reference_mm.max() == 2.0
    assert (np.diff(part.reference_mm) >= 0).all()
