"""`python -m daas_jax.search`."""

import sys

from daas_jax.runtime import cli
from daas_jax.search import command

sys.exit(cli.run('search', command.main, define=command.define_flags))
