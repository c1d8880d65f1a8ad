"""`python -m daas_jax.study`."""

import sys

from daas_jax.study import command

sys.exit(command.main())
