"""`python -m daas_jax.study --config=configs/studies/vs_random.py:small
--workdir=runs/studies/vs_random`: a grid of searches and trainings, and one table of them. The same
command goes on with it; several share the work."""

import os
import shlex
import signal
import sys

from daas_jax.config import arguments
from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.runtime import cli, progress, signals, workdir
from daas_jax.study import plan, runs, workers as workers_lib


def _parser():
  parser = arguments.Parser(prog='daas_jax.study', description=__doc__.split(':', 3)[-1].strip(),
                            allow_abbrev=False)
  parser.add_argument('--config', help='the study: NAME or FILE.py, or either with :VARIANT, as '
                      'studies/mix:small')
  parser.add_argument('--workdir', help='the folder of the study; gone on with if it holds one')
  parser.add_argument('--workers', default='1',
                      help='runs at once; other commands on the same folder join in')
  parser.add_argument('--list', '--dry-run', action='store_true',
                      help='prints the runs and their commands, and ends')
  parser.add_argument('--compilation_cache', default=cli.CACHE,
                      help="folder of compiled programs; 'off' for none")
  return parser


def _options(argv):
  options = _parser().parse_args(argv)
  if not options.config:
    raise BadInput('--config is missing: give --config=NAME or FILE.py, such as '
                   'studies/vs_random:small')
  if not options.workdir and not options.list:
    raise BadInput('--workdir is missing: give --workdir=FOLDER, where the study is kept')
  if storage.is_remote(options.workdir or ''):
    raise BadInput(
        'a study is kept in a local folder, whose locks its workers share: give --workdir=FOLDER')
  text = options.workers
  if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= 1000):
    raise BadInput(f'--workers={text[:40]!r} must be a whole number from 1 to 1000')
  options.workers = int(text)
  return options


def _list(study, options):
  root = os.path.abspath(os.path.expanduser(options.workdir)) if options.workdir else 'WORKDIR'
  if options.workdir:
    workdir.holds(root, study.text)
  states = workers_lib.states(study, root)
  for run in study.runs:
    print(
        f'{states[run.folder]:8} {run.folder}: '
        f'{shlex.join(runs.command(run, root, options.compilation_cache))}'
    )
  searches = sum(run.kind == 'search' for run in study.runs)
  print(f'{searches} searches and {len(study.runs) - searches} trainings, '
        f'{sum(state == "finished" for state in states.values())} of them finished')


def _run(options):
  study = plan.load(options.config)
  if options.list:
    _list(study, options)
    return 0
  root = workdir.opened_by_several(options.workdir, study.text)
  workers = workers_lib.Workers(study, root, options.workers, options.compilation_cache,
                       lambda line: print(line, flush=True))
  workers.work()
  if workers.interrupted is not None:
    raise _Terminated if workers.interrupted in runs.TERMINATED else KeyboardInterrupt
  print(f'\n{workers.write()}\nwritten: table.md, table.json in {root}')
  return 1 if workers.failures else 0


class _Terminated(KeyboardInterrupt):
  """SIGTERM. As a KeyboardInterrupt, no handler of a study file's errors takes it for one of
  them."""


def main(argv=None):
  """Runs the command; returns its exit status.

  0, 1 where a run failed, 2 for bad input, 130 when interrupted, and `cli.EX_TEMPFAIL` (75) on
  SIGTERM, to it or to a run: its runs are told too and save their states, and the same command goes
  on with them.
  """
  progress.any_encoding()
  with signals.raised({signal.SIGTERM: _Terminated, signal.SIGINT: KeyboardInterrupt}):
    return _main(argv)


def _main(argv):
  try:
    return _run(_options(argv))
  except BadInput as error:
    print('daas_jax.study:', *str(error).splitlines(), file=sys.stderr)
    return 2
  except OSError as error:  # such as a full disk
    print(f'daas_jax.study: {error}: when that is mended, the same command goes on',
          file=sys.stderr)
    return 2
  except _Terminated:
    print('daas_jax.study: ended on SIGTERM; the same command goes on from what its runs saved',
          file=sys.stderr)
    return cli.EX_TEMPFAIL
  except KeyboardInterrupt:
    print('daas_jax.study: interrupted; the same command goes on from what its runs saved',
          file=sys.stderr)
    return 130
