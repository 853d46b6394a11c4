"""The supplement of a comparison for a publication: checklist, methods paragraph and model cards."""
