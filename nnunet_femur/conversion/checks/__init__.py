"""Checks of cases before they are converted: headers, masks, and duplicate exams."""
