"""A page in the browser that shows a latent space and decodes wherever one points."""
