"""The keys of what is measured of an alpha over cells, and of rules that end a search on it."""

from collections.abc import Mapping
from typing import Any

from daas_jax.config.key import at_least, between, Key
from daas_jax.errors import BadInput

KEYS = {
    'arch.eigenvalue_every': Key(
        0, at_least(0), 'epochs between two measurements of the dominant eigenvalue of '
        'grad2_alpha L_val; 0: none (Amended-DARTS, RobustDARTS)'),
    'arch.stop_skip': Key(
        1.0, between(0, 1), 'the search stops where a larger share of the derived edges is '
        'skip_connect; 1: never (DARTS+)'),
    'arch.stop_eigenvalue': Key(
        0.0, between(0, 1, False, True), 'the search stops where the eigenvalue, a mean of '
        'five measurements, is more than 1 / this of that of five before; 0: never; 0.75 in '
        'RobustDARTS'),
}


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a rule on what is not measured.

  Raises:
    BadInput: it is asked for.
  """
  if flat['arch.stop_eigenvalue'] and not flat['arch.eigenvalue_every']:
    raise BadInput(
        "config key 'arch.stop_eigenvalue' needs measurements: set arch.eigenvalue_every=1, say")
