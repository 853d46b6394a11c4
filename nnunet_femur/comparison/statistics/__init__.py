"""Statistics of a comparison: summaries, paired tests, ranks, volume agreement, and cautions."""
