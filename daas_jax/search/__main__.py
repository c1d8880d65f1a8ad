"""`python -m daas_jax.search`."""

import sys

from daas_jax.search import command
from daas_jax.runtime import cli

sys.exit(cli.run('search', command.main, define=command.define_flags))
