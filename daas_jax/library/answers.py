"""The commands that use a trained network.

  python -m daas_jax.predict --network=WORKDIR --images=PATH [--out=FILE.csv]
  python -m daas_jax.evaluate --network=WORKDIR --images=PATH [--out=FILE.csv]
"""

import csv
import io
import os
import sys

import numpy as np

from daas_jax.config import arguments, file as config_file
from daas_jax.errors import BadInput
from daas_jax.files import atomic
from daas_jax.library import found, images as images_lib, load as load_lib, session, trained
from daas_jax.runtime import cli, progress


def predict(argv: list[str] | None = None) -> int:
  """`python -m daas_jax.predict`; returns its exit status: 0 done, 2 bad input, 130 interrupted."""
  parser = _parser('predict', 'Tells the classes of images, with their probabilities, as a table: '
                   'image, class, probability, and the probability of every class.',
                   'an image file, a folder of them, or an .npz file with images uint8 [N, H, W, '
                   'C]', 'where the table is written; without it, to the standard output')
  return _run('predict', parser, argv, _predict)


def evaluate(argv: list[str] | None = None) -> int:
  """`python -m daas_jax.evaluate`; returns its exit status: 0 done, 2 bad input, 130
  interrupted."""
  parser = _parser('evaluate', 'Says how many images a network recognises, of each class, and what '
                   'it takes the others for.',
                   'a folder with a folder of images for each class, or an .npz file with images '
                   'and labels', 'where the confusion matrix is written (rows: what the images '
                   'are, columns: what they are taken for)')
  return _run('evaluate', parser, argv, _evaluate)


def _parser(name, description, images, out):
  parser = arguments.Parser(prog=f'daas_jax.{name}', description=description, allow_abbrev=False)
  parser.add_argument('--network', metavar='WORKDIR', required=True,
                      help='the workdir of a training, or of a search that keeps its network')
  parser.add_argument('--images', metavar='PATH', required=True, help=images)
  parser.add_argument('--out', metavar='FILE.csv', help=out)
  parser.add_argument('--skip_damaged', action='store_true',
                      help='leaves out files that cannot be decoded, with a line')
  parser.add_argument('--config', metavar='FILE.py',
                      help='a config file that registers the network, where it is your own')
  return parser


def _run(name, parser, argv, main):
  progress.any_encoding()
  try:
    args = parser.parse_args(argv)
    if args.config:
      config_file.run(args.config)
    if args.out and os.path.lexists(os.path.expanduser(args.out)):
      raise BadInput(f'--out={args.out} is there already: move it away, or choose another file')
    with cli.quiet():
      main(_network(args.network), args)
    return 0
  except (BadInput, OSError) as error:
    print(f'daas_jax.{name}: {config_file.one_line(error)}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print(f'daas_jax.{name}: interrupted; nothing was written', file=sys.stderr)
    return 130


def _network(workdir):
  session.keep_compiled()
  run = load_lib.load(workdir)
  if isinstance(run, found.Found):
    network = run.network
    if network is None:
      raise BadInput(f'{workdir} holds a search by {run.config.method}, which keeps no network: '
                     'train what it found, and give the workdir of the training')
    return network
  if not run.class_names:
    raise BadInput(f'{workdir} holds a network that was trained by a loss of its own and tells no '
                   'classes apart')
  return run


def _parts(network, args, classes=None):
  return images_lib.parts(args.images, network.image_shape, network.fit, classes,
                          args.skip_damaged)


def _predict(network, args):
  names: list[str] = []
  rows = []
  for part in _parts(network, args):
    names += part.names
    rows.append(network.predict_proba(part.images))
  if not names:
    raise BadInput(f'{args.images}: no image is left')
  table = [['image', 'class', 'probability', *network.class_names]]
  for name, p in zip(names, np.concatenate(rows), strict=True):
    table.append([name, network.class_names[p.argmax()], *(f'{x:.6f}' for x in (p.max(), *p))])
  _write(table, args.out)


def _evaluate(network, args):
  answers = [network.evaluate(part.images, part.labels)
             for part in _parts(network, args, network.class_names)]
  if not answers:
    raise BadInput(f'{args.images}: no image is left')
  whole = _sum(answers)
  counts = whole.confusion.sum(1)
  wide = max(map(len, [*whole.class_names, 'of all']))
  print(f'accuracy {whole.accuracy:.4f}, loss {whole.loss:.4f} nats, {counts.sum()} images')
  for i, (name, share) in enumerate(whole.of_each_class.items()):
    if counts[i]:
      wrong = whole.confusion[i] * (np.arange(len(counts)) != i)
      taken = f', most often taken for {whole.class_names[wrong.argmax()]}' if wrong.any() else ''
      print(f'  {name:{wide}}  {share:.4f} of {counts[i]}{taken}')
    else:
      print(f'  {name:{wide}}  no images')
  if args.out:
    _write([['is / taken for', *whole.class_names],
            *([name, *map(int, row)] for name, row in zip(whole.class_names, whole.confusion,
                                                         strict=True))], args.out)


def _sum(answers: list[trained.Evaluation]) -> trained.Evaluation:
  """The `Evaluation` of all images of several."""
  confusion = np.sum([a.confusion for a in answers], 0)
  n = [a.confusion.sum() for a in answers]
  loss = sum(a.loss * k for a, k in zip(answers, n, strict=True)) / sum(n)
  return trained.Evaluation(float(np.trace(confusion) / sum(n)), float(loss), confusion,
                            answers[0].class_names)


def _write(table, path):
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(table)
  if path is None:
    print(text.getvalue(), end='')
    return
  atomic.write(os.path.expanduser(path), text.getvalue())
  print(f'wrote {path}', file=sys.stderr)
