"""The parts of the report, by the names that tables and figures give."""

SCORES = "Scores"
STATISTICS = "How certain the differences are"
STUDY = "The study’s tables"
SURFACES = "Surfaces and parts of the bone"
VOLUMES = "Volumes"
ALONG = "Along the bone"
EXTREMES = "Best, median and worst slice"
GRID = "One slice by every method"
GALLERY = "A femur’s slices"
PLANES = "Three planes of a case"
BY_PLANE = "Slices by plane"
UNSCORED = "Not scored"
FOLDS = "Every fold"
CASES = "Every case"

ORDER = (
    SCORES, UNSCORED, STATISTICS, STUDY, SURFACES, VOLUMES, ALONG, EXTREMES, GRID, GALLERY, PLANES, BY_PLANE, FOLDS,
    CASES,
)  # fmt: skip
"""From what is read first to what is looked up."""
