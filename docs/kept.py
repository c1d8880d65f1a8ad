"""Results of the programs in this folder, kept in WORKDIR/results.json as they come, so that the same command goes on."""

import json
import os

from daas_jax.files import atomic


def opened(folder):
  """(what is there, {name: result}; (name, result) -> None, which adds one and writes the file)."""
  os.makedirs(folder, exist_ok=True)
  path, results = os.path.join(folder, 'results.json'), {}
  if os.path.exists(path):
    with open(path, encoding='utf-8') as file:
      results = json.load(file)

  def keep(name, result):
    results[name] = result
    atomic.write(path, json.dumps(results) + '\n')

  return results, keep
