"""LSR-GAN's tables and figures (Imagining the latent space of a VAE, 2020)."""
