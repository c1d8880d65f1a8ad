"""`python -m daas_jax.report WORKDIR [WORKDIR ...] [--out=FOLDER]`: what searches and trainings
did, as one HTML page with its figures inside, and the figures as PNG files. It reads the workdirs
and changes nothing that a run wrote."""

import os
import sys

from daas_jax.config import arguments, installed
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.report import page
from daas_jax.runtime import progress

PAGE, FIGURES = 'report.html', 'figures'


def _parser():
  parser = arguments.Parser(prog='daas_jax.report', description=__doc__.split(':', 1)[1].strip(),
                            allow_abbrev=False)
  parser.add_argument('workdirs', nargs='+', metavar='WORKDIR',
                      help='of a search or a training, finished or not')
  parser.add_argument(
      '--out', metavar='FOLDER', help=f'where {PAGE} and {FIGURES}/ are written; default for one '
      'workdir: WORKDIR/report')
  return parser


def _modules():
  """(runs, sections) of `daas_jax.report`, which need the extra."""
  try:
    # pylint: disable=g-import-not-at-top (matplotlib is optional)
    from daas_jax.report import runs, sections
  except ModuleNotFoundError as error:
    if (error.name or '').split('.')[0] != 'matplotlib':
      raise
    raise BadInput('figures need matplotlib, which is not installed: '
                   + installed.extra('plots')) from error
  return runs, sections


def _target(args):
  """The absolute path of the report's folder."""
  remote = [path for path in (*args.workdirs, args.out or '') if storage.is_remote(path)]
  if remote and (args.out is None or args.out in remote):
    raise BadInput(
        f'{remote[-1]} is in an object store: add --out=FOLDER, a local one, for the report')
  if args.out is None and len(args.workdirs) > 1:
    raise BadInput('say where the report of several workdirs is to be written: add --out=FOLDER')
  if args.out == '':
    raise BadInput('--out is empty: give a folder')
  return os.path.abspath(os.path.expanduser(args.out or os.path.join(args.workdirs[0], 'report')))


def _refuse_foreign(folder, names):
  """BadInput where a file of something else would be overwritten: only an earlier report makes way
  for a new one."""
  path = os.path.join(folder, PAGE)
  if os.path.lexists(folder) and not os.path.isdir(folder):
    raise BadInput(f'--out={folder} is a file: give a folder')
  if os.path.isfile(path):
    with open(path, encoding='utf-8', errors='replace') as file:
      if page.MARK in file.read(1000):
        return
  there = [name for name in (PAGE, *(os.path.join(FIGURES, name) for name in names))
           if os.path.lexists(os.path.join(folder, name))]
  if there:
    raise BadInput(f'{folder} holds a {there[0]} that is of no report: choose another --out')


def _run(args):
  runs, sections = _modules()
  folder = _target(args)
  found = runs.load_all(args.workdirs)
  html, figures = sections.build(found)
  _refuse_foreign(folder, figures)
  os.makedirs(os.path.join(folder, FIGURES), exist_ok=True)
  for name, png in figures.items():
    atomic.write(os.path.join(folder, FIGURES, name), png)
  atomic.write(os.path.join(folder, PAGE), html)
  for run in found:
    for note in run.notes:
      print(f'{run.name}: {note}')
  print(f'written: {PAGE}, {len(figures)} figures in {FIGURES}/ in {folder}')


def main(argv=None):
  """Runs the command; returns its exit status: 0, 2 for bad input, 130 when interrupted."""
  progress.any_encoding()
  try:
    _run(_parser().parse_args(argv))
    return 0
  except BadInput as error:
    print('daas_jax.report:', *str(error).splitlines(), file=sys.stderr)
    return 2
  except OSError as error:  # such as a full disk, or a folder that may not be written
    print(f'daas_jax.report: {error.filename or ""}: {error.strerror or error}'.replace(': :', ':'),
          file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('daas_jax.report: interrupted; an earlier report may have some of its figures replaced',
          file=sys.stderr)
    return 130
