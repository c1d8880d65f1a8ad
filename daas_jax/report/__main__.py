"""`python -m daas_jax.report`."""

import sys

import jax

from daas_jax.report import command

# a sheet of images must not take a GPU from the run that it shows
jax.config.update('jax_platforms', 'cpu')
sys.exit(command.main())
