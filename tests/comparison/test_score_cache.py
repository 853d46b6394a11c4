"""The cache of scores: what is kept, and the keys."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.evaluation import Scoring

MASK = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8))


def _key(one, other):
    return ScoreCache().key(one, other, Scoring(), in_slices=False)


def test_a_score_is_kept_by_the_content_of_both_masks(tmp_path):
    for name in ("a.nrrd", "b.mha", "c.nii.gz"):
        sitk.WriteImage(MASK, str(tmp_path / name))
    keys = {_key(tmp_path / "a.nrrd", tmp_path / name) for name in ("b.mha", "c.nii.gz")}
    assert len(keys) == 2
    assert None not in keys


@pytest.mark.parametrize("name", ["b.nhdr", "b.nrrd"])
def test_voxels_in_another_file_are_always_scored_anew(tmp_path, name):
    sitk.WriteImage(MASK, str(tmp_path / "a.nrrd"))
    sitk.WriteImage(MASK, str(tmp_path / "b.nhdr"))
    (tmp_path / "b.nhdr").rename(tmp_path / name)
    assert _key(tmp_path / "a.nrrd", tmp_path / name) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    sitk.WriteImage(MASK, str(tmp_path / "a.nrrd"))
    os.mkfifo(tmp_path / "b.nrrd")
    keys = ["not returned"]
    thread = threading.Thread(target=lambda: keys.append(_key(tmp_path / "a.nrrd", tmp_path / "b.nrrd")), daemon=True)
    thread.start()
    thread.join(10)
    assert keys[1:] == [None]
