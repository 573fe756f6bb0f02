"""From a run to its figures: measuring, comparing, diagnosing, novelty, reports.

A run and what it is measured against are a `measurement.Measurement`; what is measured is a
`measurement.Subject`; the table of metrics is `metrics.METRICS`.
"""
