"""`python -m daas_jax.predict`."""

import sys

from daas_jax.library import answers

sys.exit(answers.predict())
