"""Searches: `python -m daas_jax.search`, and the function `daas_jax.search(images, labels, ...)`.

As a function it searches an augmentation policy, an architecture or both on images of yours, and
returns what it found (`daas_jax.Found`); `help(daas_jax.search.library.search)` says what it takes.
"""

from daas_jax.library import callable

callable.make(__name__)
