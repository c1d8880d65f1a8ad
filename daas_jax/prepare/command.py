"""Command: makes a data set ready, without TensorFlow where that can be done.

  python -m daas_jax.prepare fashion_mnist|cifar10|cifar100 [--source=DIR] [--data_dir=DIR]
  python -m daas_jax.prepare embedded --source=DIR [--out=DIR]
"""

import os
import sys

from daas_jax.config import arguments
from daas_jax.data import prepare, streaming, tfds
from daas_jax.errors import BadInput
from daas_jax.runtime import progress

# TFDS cannot fetch these
_BY_HAND = {'imagenet2012': ('ILSVRC2012_img_train.tar', 'ILSVRC2012_img_val.tar')}


def _parser():
  parser = arguments.Parser(prog='daas_jax.prepare',
                            description='Makes a data set ready for load(\'tfds:NAME\').',
                            allow_abbrev=False)
  parser.add_argument(
      'name',
      help='fashion_mnist, cifar10, cifar100: for TFDS, without TensorFlow; embedded: remakes the '
      'packaged images; any other TFDS set: says how to prepare it and, where that is done, notes '
      'the classes of its records, which data.stream needs')
  parser.add_argument(
      '--source', metavar='DIR', help='folder of the original files, for example '
      '/usr/share/datasets/fashion-mnist (Debian\'s dataset-fashion-mnist); for CIFAR, of the '
      'binary archive, packed or unpacked; without it they are downloaded')
  parser.add_argument('--data_dir', metavar='DIR', help='TFDS data folder; default: TFDS\'s own')
  parser.add_argument(
      '--out', metavar='DIR', help='embedded: folder to write to; default: the package\'s own')
  return parser


def main(argv=None):
  """Runs the command.

  Args:
    argv: list of str, None for the process's own arguments.

  Returns:
    Exit status: 0 done (or already done), 2 bad input, 130 interrupted.
  """
  progress.any_encoding()
  try:
    return _run(_parser().parse_args(argv))
  except BadInput as e:
    print(f'daas_jax.prepare: {e}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('daas_jax.prepare: interrupted; nothing half-made was left in place', file=sys.stderr)
    return 130


def _run(args):
  name = args.name.removeprefix('tfds:')
  if args.out and name != 'embedded':
    raise BadInput('--out is for embedded alone; use --data_dir=DIR')
  if name == 'embedded':
    if not args.source or args.data_dir:
      raise BadInput(
          'embedded takes --source=DIR, the folder of the four Fashion-MNIST IDX files, and '
          'optionally --out=DIR')
    prepare.prepare_embedded(args.source, args.out, report=_report)
    return 0
  if name in tfds.PREPARABLE:
    prepare.prepare_tfds(name, args.source, args.data_dir, report=_report)
    return 0
  builder, prepared = tfds.find_tfds(name, args.data_dir)
  if prepared:
    _report(f'{name} is already prepared: {builder.data_path}')
    streaming.note_labels(name, args.data_dir, _report)
    return 0
  lines = tfds.tensorflow_lines(name, args.data_dir)
  print(f'daas_jax.prepare: {name} needs TensorFlow once, in its own environment; run:',
        file=sys.stderr)
  for line in lines:
    print(f'  {line}', file=sys.stderr)
  if name in _BY_HAND:
    folder = os.path.join(args.data_dir or '~/tensorflow_datasets', 'downloads', 'manual')
    print(f'  (before the last line, put {" and ".join(_BY_HAND[name])} into {folder})',
          file=sys.stderr)
  return 2


def _report(line):
  print(line, flush=True)  # minutes of work: a line that waits in a buffer is no progress
