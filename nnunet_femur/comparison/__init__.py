"""Comparison of methods on many cases: discovery, scores, statistics, tables, figures and report."""

from nnunet_femur.comparison.comparison import compare
from nnunet_femur.comparison.comparison_result import Comparison
from nnunet_femur.comparison.score_files import FileScores, score_files

__all__ = ["Comparison", "FileScores", "compare", "score_files"]
