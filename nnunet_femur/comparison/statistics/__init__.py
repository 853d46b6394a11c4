"""Statistics of a comparison: summaries, paired tests, ranks, agreement, and cautions."""
