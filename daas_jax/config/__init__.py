"""The configs: every key with its default, its range and what it means; checks that end in one line."""

from daas_jax.config.schema import *  # noqa: F403
from daas_jax.config.schema import METHODS, SCHEMAS, SEARCH
