"""The report of a comparison: tables, figures, and one HTML file that contains both."""
