"""Calibration of predicted probabilities: files of probabilities, scores of each case, and their cache."""
