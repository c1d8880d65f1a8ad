"""`python -m daas_jax.prepare`."""

import sys

from daas_jax.prepare import command

sys.exit(command.main())
