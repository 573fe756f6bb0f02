"""GEN's tables and figures (Saha et al., 2020)."""
