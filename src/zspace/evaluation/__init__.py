"""Evaluation of runs: measuring, comparing, diagnosing, novelty scores and reports.

A run and the data that it is compared with are a `measurement.Measurement`; images or codes that
are measured are a `measurement.Subject`; the table of metrics is `metrics.METRICS`.
"""
