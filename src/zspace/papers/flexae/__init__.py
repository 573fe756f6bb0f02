"""FlexAE's tables and figures (Mondal et al., UAI 2021), on synthetic data and on images."""
