"""`python -m daas_jax.gradcheck --config=configs/gradcheck_quickstart.py --workdir=runs/gradcheck`:
the gradient laboratory. Every estimator of the policy and the architecture gradient against the
exact one, at a search's point."""

import json
import os

from daas_jax.config import installed, schema as config_lib
from daas_jax.data import select
from daas_jax.files import atomic
from daas_jax.gradcheck import arch, arch_rows, point as point_lib, policy, report
from daas_jax.nets import registry as nets
from daas_jax.runtime import progress, workdir


def _write(folder, name, rows):
  atomic.write(os.path.join(folder, name), json.dumps(rows, indent=1) + '\n')
  return name


def _of_cells(config, data, reporter, write):
  """{name of a tiny cell: its rows}, written and shown."""
  cells = {}
  for name in arch.EDGES if config.lab.arch_draws else ():
    rows = cells[name] = arch_rows.compare(config, data, name)
    write(arch.FILES[name], rows)
    reporter.note(
        f'\nThe architecture gradient of a {name} cell, {rows[0]["passes"]} architectures, '
        f'{config.lab.arch_draws} draws\n{report.arch_table(rows)}')
  if cells:
    reporter.note('\n' + report.arch_legend())
  return cells


def main(options):
  """Compares as the options say; returns the rows of gradcheck.json."""
  config = options.config
  data = select.from_config(config, nets.of(config).smallest(config))
  point_lib.check(config, data)
  with workdir.opened(options.workdir,
                      config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    point = point_lib.build_point(config, data, reporter)
    rows = policy.compare(point, config, folder, reporter)
    written = [_write(folder, 'gradcheck.json', rows)]
    reporter.note(
        f'\nThe policy gradient, {config.lab.draws} draws of each estimator; bias, standard '
        'deviation and variance in units of the exact '
        f'gradient\n{report.policy_table(rows)}\n\n{report.legend(rows)}'
    )
    cells = _of_cells(config, data, reporter, lambda *row: written.append(_write(folder, *row)))
    if report.can_draw():
      report.figure(os.path.join(folder, 'gradcheck.png'), rows, cells)
      written.append('gradcheck.png')
    else:
      reporter.note('\nno figure: matplotlib is not installed '
                    f"({installed.extra('plots')}, then the same command)")
    reporter.note(f'\nwritten: {", ".join(written)}, draws/ in {folder}')
  return rows
