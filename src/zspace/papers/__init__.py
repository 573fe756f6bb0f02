"""The papers' tables and figures as experiments, one file per paper."""
