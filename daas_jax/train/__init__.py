"""Trainings: `python -m daas_jax.train`, and the function `daas_jax.train(images, labels, ...)`.

As a function it trains a network on images of yours under a policy, and returns it ready to be used
(`daas_jax.Trained`); `help(daas_jax.train.library.train)` says what it takes.
"""

from daas_jax.library import callable

callable.make(__name__)
