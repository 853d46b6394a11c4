"""Scores of one case: overlap in three dimensions and slice by slice."""
