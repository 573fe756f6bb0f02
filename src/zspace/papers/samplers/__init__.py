"""The library's own comparison of samplers of latent codes."""
