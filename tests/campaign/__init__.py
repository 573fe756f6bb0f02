"""Campaigns against the program: kills, full disks, mutated files, wrong options, two at once.

They take up to an hour and are no part of the tests: `make campaign` runs them, and writes their
figures into docs/campaign.md. What they find becomes a test of its own.
"""
