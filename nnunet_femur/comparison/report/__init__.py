"""The report of a comparison: tables, figures, and one page that needs no other file."""
