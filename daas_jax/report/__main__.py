"""`python -m daas_jax.report`."""

import sys

import jax

from daas_jax.report import command

jax.config.update('jax_platforms', 'cpu')  # a sheet of images must not take a GPU from the run that it shows
sys.exit(command.main())
