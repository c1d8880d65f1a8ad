"""The configs: every key with its default, its range and what it means; checks that end in one
line.

A config file builds on `search_config()`, `train_config()` or `gradcheck_config()` and changes what
its experiment changes. The defaults are the paper's numbers for CIFAR-10.
"""

from daas_jax.config.file import load
from daas_jax.config.key import above, all_of, anything, at_least, between, even, Key, odd, one_of
from daas_jax.config.schema import (
    check,
    default,
    every,
    flatten,
    gradcheck_config,
    schema_of,
    search_config,
    to_json,
    train_config,
    unknown_key,
)

__all__ = [
    'Key', 'above', 'all_of', 'anything', 'at_least', 'between', 'check', 'default', 'even',
    'every', 'flatten', 'gradcheck_config', 'load', 'odd', 'one_of', 'schema_of', 'search_config',
    'to_json', 'train_config', 'unknown_key'
]
