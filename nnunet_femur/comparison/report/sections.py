"""Sections of the report, by the names that tables and figures give, in the order of the report."""

SCORES = "Scores"
UNSCORED = "Predictions that could not be scored"
CLINICAL = "Clinical measurements"
STATISTICS = "Statistical comparison"
SUBGROUPS = "Subgroups"
READERS = "Second reader"
CALIBRATION = "Calibration of probabilities"
STUDY = "Tables of the study"
SURFACES = "Surface distances and regions"
VOLUMES = "Agreement of volumes"
ALONG = "Dice along the bone"
EXTREMES = "Best, median and worst slices"
GRID = "One slice, all methods"
GALLERY = "Slices of both femur ends"
PLANES = "Three planes of one case"
BY_PLANE = "Slice scores by plane"
FOLDS = "Scores by fold"
CASES = "Scores by case"
TRAINING = "Training"

ORDER = (
    SCORES, UNSCORED, CLINICAL, STATISTICS, READERS, SUBGROUPS, CALIBRATION, STUDY, SURFACES, VOLUMES, ALONG, EXTREMES,
    GRID, GALLERY, PLANES, BY_PLANE, FOLDS, CASES, TRAINING,
)  # fmt: skip
"""The sections in the order of the report, overviews before details."""
