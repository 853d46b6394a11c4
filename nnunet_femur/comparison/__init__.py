"""Many cases of many methods: discovery, scores, tables, figures, report."""
