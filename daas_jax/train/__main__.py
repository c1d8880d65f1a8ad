"""`python -m daas_jax.train`."""

import sys

from daas_jax.train import command
from daas_jax.runtime import cli

sys.exit(cli.run('train', command.main, define=command.define_flags))
