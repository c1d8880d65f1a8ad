"""`python -m daas_jax.evaluate`."""

import sys

from daas_jax.library import answers

sys.exit(answers.evaluate())
