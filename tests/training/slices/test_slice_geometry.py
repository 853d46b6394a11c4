"""The window of a slice: place, padding, pixels in millimetres and neighbours, in training and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.training.slices.slice_geometry import SliceWindow, place_window, plane_axes
from tests.training.slices.loading import NumberedCases, make_cases, make_loader, place_of, take

if TYPE_CHECKING:
    from nnunet_femur.recipe.slice_planes import Plane


def _first_row(image: torch.Tensor) -> tuple[float, ...]:
    return tuple(image[0, 0].tolist())


class TestWindow:
    def test_image_and_mask_agree_and_padding_is_marked(self) -> None:
        cases = make_cases()
        (batch,) = take(cases, 0, 1, per_batch=64, iterations=1)
        for image, mask in zip(batch["data"][:, 0].numpy(), batch["target"][:, 0].numpy(), strict=True):
            case, axis, index = place_of(image)
            inside = image > 0
            assert (mask[~inside] == -1).all()
            rows = np.flatnonzero(inside.any(axis=1))
            columns = np.flatnonzero(inside.any(axis=0))
            reference = np.take(cases.masks[case], index, axis=axis)
            assert np.array_equal(mask[np.ix_(rows, columns)], reference)

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_the_femur_is_shown_as_far_as_the_window_reaches(self, axis: int) -> None:
        mask = np.zeros((40, 30, 20), dtype=bool)
        mask[3:9, 24:28, 5:8] = True
        (batch,) = take(
            NumberedCases([mask]), 0, 1, axes=(axis,), per_batch=40, iterations=1, window=SliceWindow(size=(8, 8))
        )
        shown = (batch["target"] == 1).sum((1, 2, 3))
        assert (shown == np.take(mask, [24 if axis == 1 else 5], axis=axis).sum()).all()

    def test_only_slices_without_a_share_are_drawn_from_everywhere(self) -> None:
        mask = np.zeros((40, 4, 4), dtype=bool)
        mask[:3] = True
        (batch,) = take(NumberedCases([mask]), 0, 1, axes=(0,), per_batch=4, others=28, iterations=1)
        has_femur = (batch["target"] == 1).any(-1).any(-1)[:, 0]
        assert has_femur[:4].all()
        assert not has_femur[4:].all()

    def test_a_margin_for_the_transforms_reaches_beyond_the_border(self) -> None:
        """Any 4 x 4 of a slice of 9 x 6 is seen; the margin of 2 around it may reach beyond the image."""
        starts = set()
        for batch in take(make_cases(), 0, 12, axes=(0,), window=SliceWindow(size=(4, 4), margin=(4, 4))):
            assert batch["data"].shape[2:] == (8, 8)
            for image in batch["data"][:, 0]:
                seen = image[2:6, 2:6]
                assert (seen > 0).all(), "the network sees the image only"
                starts.add(int(seen[0, 0]) % 1000)
        assert {0, 502} <= starts, "corners of the image are seen"


class TestMillimetres:
    """Voxels of 6 x 3 x 3 mm, pixels of 3 mm: a slice of 8 x 4 pixels covers 24 x 12 mm in every plane."""

    WINDOW = SliceWindow(size=(8, 4), scale=(2.0, 1.0, 1.0))

    @pytest.mark.parametrize(("axis", "voxels"), [(0, (8, 4)), (1, (4, 4)), (2, (4, 4))])
    def test_voxels_of_a_slice(self, axis: int, voxels: tuple[int, int]) -> None:
        assert self.WINDOW.voxels((8, 4), axis) == voxels

    def test_coronal_rows_are_doubled(self) -> None:
        mask = np.zeros((4, 5, 4), dtype=bool)
        mask[1, 2, 3] = True
        (batch,) = take(NumberedCases([mask]), 0, 1, axes=(1,), per_batch=1, iterations=1, window=self.WINDOW)
        image, target = batch["data"][0, 0], batch["target"][0, 0]
        # Voxel z gives the rows 2z and 2z + 1, whose centres are a quarter of a voxel before and behind its centre.
        z = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0])
        assert torch.allclose(image, 10000 + 1000 * z[:, None] + 200 + torch.arange(4), atol=0.01)
        assert target.nonzero().tolist() == [[2, 3], [3, 3]]

    def test_axial_slices_are_as_they_are(self) -> None:
        mask = np.zeros((4, 8, 4), dtype=bool)
        mask[1] = True
        (batch,) = take(NumberedCases([mask]), 0, 1, axes=(0,), per_batch=1, iterations=1, window=self.WINDOW)
        y, x = np.indices((8, 4))
        assert np.array_equal(batch["data"][0, 0], 11000 + 100 * y + x)

    def test_prediction_sees_the_same_pixels(self) -> None:
        """Of a volume of 4 x 5 x 4 voxels the network sees 8 rows in coronal and sagittal slices, 5 in axial ones."""
        cases, seen = NumberedCases([np.ones((4, 5, 4), dtype=bool)]), []

        class Looks(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen.append(x)
                return x.new_zeros((len(x), 2, *x.shape[2:]))

        volume = torch.from_numpy(cases.load_case("case0")[0])[None]
        answer = ThreePlaneNetwork(Looks(), stride=1, scale=(2.0, 1.0, 1.0), in_bfloat16=False)(volume)
        assert [tuple(x.shape) for x in seen] == [(4, 1, 5, 4), (5, 1, 8, 4), (4, 1, 8, 5)]
        assert answer.shape == (1, 2, 4, 5, 4)
        (batch,) = take(cases, 0, 1, axes=(1,), per_batch=5, window=self.WINDOW)
        trained = {_first_row(image): image for image in batch["data"]}
        predicted = {_first_row(image): image for image in seen[1]}
        assert trained.keys() == predicted.keys()
        assert all(torch.allclose(trained[key], predicted[key]) for key in trained)

    def test_the_answer_comes_back_on_the_voxels(self) -> None:
        """A network whose answer is linear in its input: resized and back, voxels in the middle keep their own."""

        class Linear(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat((x, 1 - x), dim=1).clamp_min(1e-3).log()

        ramp = torch.linspace(0.1, 0.9, 9)[:, None, None].expand(9, 5, 4)[None, None].contiguous()
        network = ThreePlaneNetwork(Linear(), axes=(1, 2), stride=1, scale=(2.5, 1.0, 1.0), in_bfloat16=False)
        found = network(ramp).exp()[0, 0]
        assert torch.allclose(found[1:-1], ramp[0, 0, 1:-1], atol=0.01)


class TestPlanes:
    @pytest.mark.parametrize(
        ("plane", "normal"),
        [
            ("axial+coronal", (1, 1, 0)),
            ("axial-coronal", (1, -1, 0)),
            ("axial+sagittal", (1, 0, 1)),
            ("axial-sagittal", (1, 0, -1)),
            ("coronal+sagittal", (0, 1, 1)),
            ("coronal-sagittal", (0, 1, -1)),
        ],
    )
    def test_names_give_the_normal(self, plane: Plane, normal: tuple[int, int, int]) -> None:
        """A volume that changes along superior, anterior and right only as the normal does is constant in slices."""
        z, y, x = np.indices((10, 12, 11), dtype=np.float32)
        volume = (100 + normal[0] * z + normal[1] * y + normal[2] * x)[None]
        (axis,) = plane_axes((plane,), _Plans([0, 1, 2]))
        window = SliceWindow(size=(6, 6))
        values = []
        for index in (6, 7, 8):
            image, labels = window.cut(volume, np.zeros_like(volume), axis, index, None, np.random.default_rng(0))
            seen = image[0][labels[0] >= 0]
            assert len(seen) > 10
            # At the border, the nearest voxel counts.
            values.append(float(seen.median()))
            assert ((seen - values[-1]).abs() < 1e-3).float().mean() > 0.6
        assert abs(np.diff(values)) == pytest.approx(2**0.5, abs=1e-3), "a pixel along the normal of length root 2"

    def test_transposed_arrays(self) -> None:
        """Arrays with the axes y, z, x: coronal slices come first; oblique planes are between the same directions."""
        planes: tuple[Plane, ...] = ("axial", "coronal", "axial+coronal", "axial-sagittal")
        assert plane_axes(planes, _Plans([1, 0, 2])) == (1, 0, 3, 8)


class _Plans:
    def __init__(self, transpose_forward: list[int]) -> None:
        self.transpose_forward = transpose_forward


class TestNeighbours:
    def test_channels_are_the_slice_before_itself_and_behind(self) -> None:
        mask = np.ones((3, 4, 4), dtype=bool)
        loader = make_loader(
            NumberedCases([mask]), axes=(2,), window=SliceWindow(size=(3, 4), neighbours=1), per_batch=4
        )
        for image in next(loader)["data"]:
            column = [int(channel[0, 0]) % 100 for channel in image]
            assert column in ([0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]), "at the ends the last is repeated"

    def test_mirroring_reverses_their_order_in_half_of_the_draws(self) -> None:
        mask = np.ones((3, 4, 4), dtype=bool)
        window = SliceWindow(size=(3, 4), neighbours=1, reversed_neighbours=True)
        loader = make_loader(NumberedCases([mask]), axes=(2,), window=window, per_batch=64, iterations=1)
        columns = [tuple(int(channel[0, 0]) % 100 for channel in image) for image in next(loader)["data"]]
        inner = [column for column in columns if column[1] in (1, 2)]
        assert set(inner) == {(0, 1, 2), (2, 1, 0), (1, 2, 3), (3, 2, 1)}
        forwards = sum(column[0] < column[2] for column in inner)
        assert 0.2 < forwards / len(inner) < 0.8

    def test_as_the_network_sees_them_at_prediction(self) -> None:
        seen = []

        class Looks(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                seen.extend(x)
                return x[:, :2]

        cases = NumberedCases([np.ones((4, 4, 4), dtype=bool)])
        volume = torch.from_numpy(cases.load_case("case0")[0])[None]
        ThreePlaneNetwork(Looks(), stride=4, neighbours=1)(volume)
        trained = take(cases, 0, 1, per_batch=12, window=SliceWindow(size=(4, 4), neighbours=1))[0]["data"]
        assert {tuple(one.flatten().tolist()) for one in trained} == {tuple(one.flatten().tolist()) for one in seen}


@pytest.mark.parametrize(
    ("length", "window", "shown", "expected"),
    [
        (10, 4, None, range(7)),
        (10, 4, (2, 4), range(3)),
        (10, 4, (8, 10), [6]),
        (10, 4, (1, 9), range(1, 6)),
        (4, 10, None, range(-6, 1)),
        (4, 10, (1, 2), range(-6, 1)),
        (4, 4, (0, 4), [0]),
    ],
)
def test_where_a_window_may_start(length: int, window: int, shown: Any, expected: Any) -> None:
    rng = np.random.default_rng(0)
    assert {place_window(length, window, shown, rng) for _ in range(300)} == set(expected)
