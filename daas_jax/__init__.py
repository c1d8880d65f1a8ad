"""Differentiable joint search of neural architectures and augmentation policies (DAAS), in JAX."""
