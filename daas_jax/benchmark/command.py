"""`python -m daas_jax.benchmark [--only=NAME,...] [--batch=16,...] [--json=FILE]`: seconds to
compile, milliseconds a step and memory of every program that matters, at the paper's size, and
which bars they hold. Each case runs in a process of its own. With --public=FOLDER public PyTorch
code is measured in the same run, on the GPU where there is one (see benchmark/public.py)."""

import fnmatch
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, IO, NamedTuple

from daas_jax.benchmark import bars
from daas_jax.benchmark.cases import CASES
from daas_jax.config import arguments
from daas_jax.errors import BadInput
from daas_jax.files import atomic
from daas_jax.runtime import progress

BATCHES = (16, 32, 64)
PUBLIC = tuple(
    f'public:{name}'
    for name in ('gdas_weight', 'gdas_arch', 'darts_weight', 'darts_first_order', 'wrn_40_2'))
_CHECKOUTS = ('darts', 'AutoDL-Projects')
_HEAD = ('case', 'batch', 'compile cold s', 'warm s', 'step ms', 'min', 'max', 'program MB',
         'process MB', 'images/s', 'of its floor')


def _parser():
  parser = arguments.Parser(prog='daas_jax.benchmark', description=__doc__.split(':', 1)[1].strip(),
                            allow_abbrev=False)
  parser.add_argument('--only', default='*',
                      help='cases, separated by commas; * and ? as in a shell: ' + ', '.join(CASES))
  parser.add_argument('--batch', default=','.join(map(str, BATCHES)),
                      help='batch sizes, separated by commas')
  parser.add_argument('--json', metavar='FILE', type=os.path.expanduser,
                      help='writes the rows there too')
  parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32',
                      help='of the supernet')
  parser.add_argument('--kernels', choices=('auto', 'fast', 'xla', 'plain'), default='auto',
                      help="array kernels; auto: the backend's")
  parser.add_argument('--at_once', metavar='N', type=int, default=1,
                      help='cases that are compiled at once, so that seconds to compile say little '
                      'and no bars are judged; they are timed one by one')
  parser.add_argument(
      '--public', metavar='FOLDER', type=os.path.expanduser,
      help='with checkouts of github.com/quark0/darts and '
      'github.com/D-X-Y/AutoDL-Projects: their steps are measured too, as cases '
      + ', '.join(PUBLIC))
  parser.add_argument('--torch', metavar='PYTHON', type=os.path.expanduser, default=sys.executable,
                      help='has PyTorch, for --public')
  return parser


def chosen(only, public=False):
  """Names of the cases that the patterns choose, in the table's order; BadInput where one chooses
  none."""
  patterns, cases = only.split(','), [*CASES, *(PUBLIC if public else ())]
  for pattern in patterns:
    if not fnmatch.filter(cases, pattern):
      raise BadInput(f'--only={pattern!r} names no case: choose from {", ".join(cases)}')
  return [name for name in cases if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _check_public(folder):
  missing = [
      name for name in _CHECKOUTS if folder and not os.path.isdir(os.path.join(folder, name))
  ]
  if missing:
    raise BadInput(
        f'--public: {folder} holds no checkout {missing[0]}; it needs {" and ".join(_CHECKOUTS)}')


def _batches(text):
  if not all(
      part.isascii() and part.isdecimal() and 2 <= int(part) <= 10_000 for part in text.split(',')):
    raise BadInput(f'--batch={text!r} must be whole numbers from 2 to 10000, separated by commas')
  return [int(part) for part in text.split(',')]


class Measuring(NamedTuple):
  """A case in a process of its own, which compiles, says so, and times when it is told to."""
  case: str
  batch: int
  process: Any
  errors: IO


def begin(name, batch, args):
  """The `Measuring` of a case; its `process` is None where it could not be started."""
  command = [sys.executable, '-m', 'daas_jax.benchmark.measure', name, str(batch), args.dtype,
             args.kernels]
  if name in PUBLIC:
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'public.py')
    command = [args.torch, script, name, str(batch), args.public]
  errors = tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace')
  try:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=errors, encoding='utf-8', errors='replace')
  except OSError as error:
    errors.write(f'{command[0]}: {error.strerror}')
    process = None
  return Measuring(name, batch, process, errors)


def measure(measuring):
  """The row of a case that is told to go on; one with an 'error' where it failed."""
  process, said = measuring.process, ''
  if process:
    said, _ = process.communicate('go\n')
    if not process.returncode:
      return json.loads(said.splitlines()[-1])
  measuring.errors.seek(0)
  last = (measuring.errors.read().strip().splitlines() or ['no message'])[-1][:200]
  error = f'exit status {process.returncode}: {last}' if process else last
  return {'case': measuring.case, 'batch': measuring.batch, 'error': error}


def _compiled(group):
  """Waits until all of a group have compiled (or failed): nothing is timed before."""
  for measuring in group:
    for line in measuring.process.stdout if measuring.process else ():
      if line.strip() == 'compiled':  # public code may say something before
        break
  return group


def _end(group):
  """Ends what still runs of a group."""
  for measuring in group:
    if measuring.process and measuring.process.poll() is None:
      measuring.process.kill()
      measuring.process.wait()
    measuring.errors.close()


def of_floor(row, rows):
  """The row's step time over that of its floor at the same batch, or None where that was not
  measured."""
  name, times = row.get('floor') or (None, 1)
  found = [r for r in rows if r['case'] == name and r['batch'] == row['batch'] and r.get('step_ms')]
  return row['step_ms'] / (times * found[0]['step_ms']) if found and row['step_ms'] else None


def line(row, rows):
  """A row as the table's cells."""
  if 'error' in row:
    return [row['case'], str(row['batch']), row['error']]
  ratio = of_floor(row, rows)
  floor = '-' if ratio is None else f"{ratio:.2f} ({row['floor'][1]} x {row['floor'][0]})"
  shown = lambda field, digits: '-' if row[field] is None else f'{row[field]:.{digits}f}'
  digits = {
      'compile_cold_s': 1,
      'compile_warm_s': 1,
      'step_ms': 1,
      'step_ms_min': 1,
      'step_ms_max': 1,
      'program_mb': 0,
      'process_mb': 0,
      'images_per_s': 0
  }
  return [row['case'], str(row['batch']), *(shown(field, n) for field, n in digits.items()), floor]


def _print(cells):
  widths = [26, 5, 14, 6, 8, 8, 8, 10, 10, 9, 0]
  padded = [
      c.ljust(w) if i in (0, 10) else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))
  ]
  print('  '.join(padded), flush=True)


def _print_bars(rows):
  """A line a bar and batch size, of those whose figures were measured in this run."""
  found = bars.verdicts([row for row in rows if 'error' not in row])
  if found:
    print('\nbars')
  for text, batch, value, limit, at_most, held in found:
    asked = f"{'at most' if at_most else 'at least'} {limit:.4g}"
    print(f"{'held  ' if held else 'MISSED'}  {text}, batch {batch}: {value:.4g} ({asked})")


def _run(args):
  _check_public(args.public)
  names, batches = chosen(args.only, bool(args.public)), _batches(args.batch)
  if args.at_once < 1:
    raise BadInput(f'--at_once={args.at_once} must be at least 1')
  folder = os.path.dirname(os.path.abspath(args.json)) if args.json else '.'
  if not os.path.isdir(folder):
    raise BadInput(f'--json: there is no folder {folder}')
  rows = []
  _print(_HEAD)
  cases = [(name, batch) for name in names for batch in batches]
  for at in range(0, len(cases), args.at_once):
    group = [begin(*case, args) for case in cases[at : at + args.at_once]]
    try:
      for measuring in _compiled(group):
        rows.append(measure(measuring))
        _print(line(rows[-1], rows))
        if args.json:  # whole after every row: a run that is stopped leaves what it has
          atomic.write(args.json, json.dumps(rows, indent=1) + '\n')
    finally:
      _end(group)
  if args.at_once == 1:  # seconds to compile are no figure where others compile
    _print_bars(rows)
  return 1 if any('error' in row for row in rows) else 0


def main(argv=None):
  """Runs the command; returns its exit status: 0, 1 where a case failed, 2 for bad input, 130 when
  interrupted."""
  progress.any_encoding()
  try:
    return _run(_parser().parse_args(argv))
  except BadInput as error:
    print(f'daas_jax.benchmark: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('daas_jax.benchmark: interrupted; the rows so far are in the file of --json',
          file=sys.stderr)
    return 130
