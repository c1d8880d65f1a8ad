"""`python -m daas_jax.train`."""

import sys

from daas_jax.runtime import cli
from daas_jax.train import command

sys.exit(cli.run('train', command.main, define=command.define_flags))
