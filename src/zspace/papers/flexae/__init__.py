"""FlexAE's tables and figures (Mondal et al., UAI 2021): of known densities, and of images."""
