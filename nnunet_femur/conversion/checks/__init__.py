"""Checks of cases before they are converted: headers, masks, and exams that occur twice."""
