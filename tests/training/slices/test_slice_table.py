"""The table of slices with femur, on masks worked by hand."""

from __future__ import annotations

import numpy as np

from nnunet_femur.training.slices.slice_order import SliceTable, find_slices, slices_of_ends


def _rows(table: SliceTable) -> list[tuple[int, ...]]:
    columns = (table.case, table.axis, table.index, *table.box.T)
    return [tuple(int(n) for n in row) for row in zip(*columns, strict=True)]


def _mask() -> np.ndarray:
    """Two slices of a bone: a block at z 2, y 1-2, x 3-5, and a tip of one voxel at z 4, y 0, x 6."""
    mask = np.zeros((6, 4, 8), dtype=bool)
    mask[2, 1:3, 3:6] = True
    mask[4, 0, 6] = True
    return mask


class TestFindSlices:
    def test_axial_rows_are_y_and_columns_x(self) -> None:
        assert _rows(find_slices([_mask()], (0,))) == [(0, 0, 2, 1, 3, 3, 6), (0, 0, 4, 0, 1, 6, 7)]

    def test_coronal_rows_are_z_and_columns_x(self) -> None:
        assert _rows(find_slices([_mask()], (1,))) == [
            (0, 1, 0, 4, 5, 6, 7),
            (0, 1, 1, 2, 3, 3, 6),
            (0, 1, 2, 2, 3, 3, 6),
        ]

    def test_sagittal_rows_are_z_and_columns_y(self) -> None:
        assert _rows(find_slices([_mask()], (2,))) == [
            (0, 2, 3, 2, 3, 1, 3),
            (0, 2, 4, 2, 3, 1, 3),
            (0, 2, 5, 2, 3, 1, 3),
            (0, 2, 6, 4, 5, 0, 1),
        ]

    def test_against_a_plain_loop(self) -> None:
        masks = [np.random.default_rng(seed).random((5, 7, 6)) > 0.97 for seed in range(4)]
        expected = []
        for case, mask in enumerate(masks):
            for axis in (0, 2):
                for index in range(mask.shape[axis]):
                    section = np.take(mask, index, axis=axis)
                    if section.any():
                        rows, columns = np.nonzero(section)
                        box = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
                        expected.append((case, axis, index, *map(int, box)))
        assert _rows(find_slices(masks, (0, 2))) == expected

    def test_a_case_without_femur_has_no_slices(self) -> None:
        table = find_slices([np.zeros((3, 3, 3), dtype=bool), _mask()], (0,))
        assert table.case.tolist() == [1, 1]
        assert len(find_slices([np.zeros((3, 3, 3), dtype=bool)], (0, 1, 2))) == 0


class TestSlicesOfEnds:
    def test_first_and_last_of_each_case(self) -> None:
        masks = [np.zeros((12, 2, 2), dtype=bool) for _ in range(2)]
        masks[0][1:11] = True
        masks[1][5:9] = True
        table = slices_of_ends(find_slices(masks, (0,)), [3, 1])
        assert table.index[table.case == 0].tolist() == [1, 2, 3, 8, 9, 10]
        assert table.index[table.case == 1].tolist() == [5, 8]

    def test_slices_without_femur_between_do_not_count(self) -> None:
        mask = np.zeros((10, 2, 2), dtype=bool)
        mask[[0, 4, 9]] = True
        assert slices_of_ends(find_slices([mask], (0,)), [2]).index.tolist() == [0, 4, 9]

    def test_a_short_bone_is_taken_once(self) -> None:
        mask = np.ones((5, 2, 2), dtype=bool)
        assert slices_of_ends(find_slices([mask], (0,)), [20]).index.tolist() == [0, 1, 2, 3, 4]
