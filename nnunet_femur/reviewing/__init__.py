"""Review of predicted masks: a page to look at them, marks, and corrected masks as references for the next training.

- `reviewed_cases` finds the cases of a prediction folder and checks their masks, `case_volume` makes their pictures.
- `review_record` reads and writes the marks, `review_page` the page; `review_server` shows it and saves marks.
- `corrected_cases` adds accepted and corrected masks to a dataset.
"""

from __future__ import annotations

from nnunet_femur.prediction.review_record import Mark
from nnunet_femur.reviewing.corrected_cases import add_corrected, waiting_cases
from nnunet_femur.reviewing.review_page import Review, review
from nnunet_femur.reviewing.review_server import ReviewServer

__all__ = ["Mark", "Review", "ReviewServer", "add_corrected", "review", "waiting_cases"]
