"""Training that starts from TotalSegmentator's weights."""
