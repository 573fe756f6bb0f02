"""Methods, one paper per file: networks in, objectives out."""
