"""ReGene's tables and figures (Gopalakrishnan et al., Neurocomputing 471, 2022)."""
