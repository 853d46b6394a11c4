"""Arguments of the wrong type or value give an InputError with a code, and one value may stand for several."""

import numpy as np
import pytest
import SimpleITK as sitk

import nnunet_femur as nf
from nnunet_femur.arguments import several, suggestion
from nnunet_femur.conversion import ConversionOptions
from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.evaluation import score
from nnunet_femur.imaging.sources import find_sources
from nnunet_femur.prediction import Options
from nnunet_femur.prediction.segmenter import fold_names
from tests.refusing import refused


class TestSeveral:
    def test_a_text_is_one_value_and_not_its_letters(self):
        assert several("femur") == ("femur",)
        assert ConversionOptions(segments="Femur", labels=2) == ConversionOptions(segments=("Femur",), labels=(2,))
        assert Options(labels="femur", formats="nii.gz") == Options(labels=("femur",), formats=("nii.gz",))

    def test_zero_is_a_value_and_none_is_not(self):
        assert fold_names(0) == ("0",)
        assert fold_names(None) == ()


def test_suggestion_names_the_nearest_or_all_known_names():
    assert "'epochs'" in suggestion("epoks", ["iterations", "epochs"])
    assert suggestion("x", []) == ""


class TestWrongTypes:
    @pytest.mark.parametrize("given", [None, 3, [[1]]])
    def test_a_mask_is_a_path_an_image_or_an_array(self, given):
        with refused("invalid-option", "prediction", type(given).__name__.replace("NoneType", "None")):
            score(given, sitk.Image([4, 4, 4], sitk.sitkUInt8))

    @pytest.mark.parametrize("spacing", [1.0, "abc", (1, 1, None)])
    def test_a_spacing_is_three_numbers(self, spacing):
        mask = np.ones((4, 4, 4), bool)
        with refused("invalid-option", "spacing_mm_zyx"):
            score(mask, mask, spacing_mm_zyx=spacing)

    @pytest.mark.parametrize("dataset_id", ["1", 1.5, None, 0, 1000])
    def test_the_number_of_a_dataset_is_an_integer(self, tmp_path, dataset_id):
        with refused("invalid-option", "dataset_id"):
            nf.convert(tmp_path, dataset_id=dataset_id, raw=tmp_path)
        with refused("invalid-option", "dataset_id"):
            RawDataset.find(dataset_id, raw=tmp_path)

    def test_a_comparison_names_its_methods_and_knows_its_test(self, tmp_path):
        with refused("invalid-option", "methods"):
            nf.compare(None, methods=[tmp_path])
        with refused("invalid-option", "wilcoxon"):
            nf.compare(tmp_path, test="t")

    def test_a_femur_is_made_from_an_image(self):
        with refused("invalid-option", "mask"):
            nf.Femur.from_mask(np.ones((4, 4, 4)))

    def test_a_step_size_is_a_number(self):
        with refused("invalid-option", "step_size"):
            Options(step_size="0.5")

    def test_no_path_is_no_case(self):
        with refused("no-cases"):
            find_sources([])
