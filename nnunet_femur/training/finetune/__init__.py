"""Fine-tuning of TotalSegmentator's network."""
