"""`python -m daas_jax.export`."""

import sys

from daas_jax.export import command

sys.exit(command.main())
