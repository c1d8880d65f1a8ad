"""`python -m daas_jax.gradcheck`."""

import sys

from daas_jax.gradcheck import command
from daas_jax.runtime import cli

sys.exit(cli.run('gradcheck', command.main))
