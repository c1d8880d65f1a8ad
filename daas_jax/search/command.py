"""`python -m daas_jax.search --config=configs/quickstart.py --workdir=runs/quickstart`: one search,
start to end."""

from typing import Any

from absl import flags

from daas_jax.runtime import processes, signals
from daas_jax.search import catalogue, whole


def define_flags(values):
  flags.DEFINE_string(
      'search', None, 'The workdir of the search whose result is given to this one: its '
      'architecture (network.genotype=searched), its policy (policy.name=searched).',
      flag_values=values)
  processes.define_flags(values)
  flags.DEFINE_bool(
      'memory', False,
      "Compiles a step, prints how much of a device's memory it takes, and searches nothing; needs "
      'no --workdir.', flag_values=values)
  flags.DEFINE_bool('list', False, 'Prints what there is to choose from, and ends.',
                    flag_values=values)


def main(options: Any, should_stop: Any = signals.never) -> str | None:
  """Searches as the options say; returns the summary that it prints, or None where it only lists,
  or says what it takes."""
  if options.list:
    print(catalogue.text())
    return None
  if options.memory:
    print(whole.memory_text(options.config, options.search))
    return None
  processes.join(options)
  return whole.run(options.config, options.workdir, options.search,
                   processes.should_stop(should_stop))
