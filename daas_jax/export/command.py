"""Command: a found policy as code or a file that runs without JAX, a found pair of cells in the
forms of others.

  python -m daas_jax.export policy.json --to=pil|torchvision|albumentations [--out=FILE]
  python -m daas_jax.export genotype.json --to=darts|nni|naslib [--out=FILE]
"""

import os
import sys

from daas_jax.config import arguments
from daas_jax.errors import BadInput
from daas_jax.export import forms
from daas_jax.files import atomic, storage


def _parser():
  parser = arguments.Parser(
      prog='daas_jax.export', allow_abbrev=False,
      description='Writes what a search has found as code or a file that runs without JAX.')
  parser.add_argument('file', metavar='FILE',
                      help='what a search has found: policy.json or genotype.json')
  parser.add_argument(
      '--to', required=True, metavar='TARGET', help='of a policy: pil, a Python file with '
      'augment(image, rng) on PIL images; torchvision, a Python file with a class Policy for a '
      'Compose (both need NumPy and Pillow alone); albumentations, a pipeline for A.load; of a '
      'genotype: darts, nni or naslib')
  parser.add_argument(
      '--out', metavar='FILE', help='where it is written; without it, to the standard output')
  return parser


def main(argv=None):
  """Runs the command.

  Args:
    argv: list of str, None for the process's own arguments.

  Returns:
    Exit status: 0 done (or already done), 2 bad input.
  """
  try:
    args = _parser().parse_args(argv)
    text = _text(args.file, args.to)
    if args.out is None:
      print(text, end='')
    else:
      _write(args.out, text)
  except BadInput as e:
    print(f'daas_jax.export: {e}', file=sys.stderr)
    return 2
  return 0


def _text(path, to):
  """What the file becomes."""
  try:
    content = storage.read_json(path)
  except OSError as e:
    raise BadInput(f'{path} cannot be read ({e.strerror or e}); give the policy.json or '
                   'genotype.json of a search') from None
  except ValueError as e:
    raise BadInput(f'{path} is not a JSON file ({storage.reason(e)}); give the policy.json or '
                   'genotype.json of a search') from None
  form = content.get('format') if isinstance(content, dict) else None
  row = forms.FORMS.get(form) if isinstance(form, str) else None
  if row is None:
    raise BadInput(f'{path} has none of the "format"s {", ".join(forms.FORMS)}; give what a search '
                   'has written')
  if to not in row:
    raise BadInput(f'--to={to} is not what a {form} can become; choose {", ".join(row)}')
  return row[to](content, path)


def _write(path, text):
  """Writes a file that is not there, or holds this already."""
  if not path:
    raise BadInput('--out is empty: give a file')
  if storage.is_remote(path):
    raise BadInput(f'--out={path} is in an object store: give a local file')
  target = os.path.expanduser(path)
  if os.path.lexists(target):
    try:
      same = storage.read_text(target) == text
    except (OSError, ValueError):
      same = False
    if not same:
      raise BadInput(f'--out={path} is there and holds something else: choose another file')
    return
  try:
    atomic.write(target, text)
  except OSError as e:
    raise BadInput(
        f'--out={path} cannot be written ({e.strerror or e}); choose another file') from None
