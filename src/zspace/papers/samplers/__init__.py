"""What to draw codes from: this library's own comparison of samplers."""
