"""`python -m daas_jax.benchmark`."""

import sys

from daas_jax.benchmark import command

sys.exit(command.main())
