"""What the files of a run say of themselves: of what data, network and seed they come.

policy.json and results.json get facts that the same run has every time and everywhere. Times,
processor and versions are of the machine: they are in run.json, a row for each time that the run
was begun or gone on with.
"""

from collections.abc import Iterator
import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from typing import Any

import jax

import daas_jax
from daas_jax.augment.ops import OPS
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.policies import registry
from daas_jax.policies.policy import Policy

TEMPORARY = 'daas_jax-inputs-'
"""How folders begin that stand for a search where objects were given."""
_DRAWN = {'batch': 'a policy for every batch', 'image': 'for every image a policy'}
_DRAWN_ANYWAY = '; for every image whether it is applied, signs and places'
_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'dm-pix', 'orbax-checkpoint', 'numpy', 'pillow')


def facts(config: Any, data: Any) -> dict[str, Any]:
  """What a search or a training was of.

  Args:
    config: its config.
    data: its `daas_jax.data.dataset.Dataset`, or what a network's task loads.

  Returns:
    JSON values: 'method' (of a search), 'network', 'data' (its name, and of classified images their
    number, shape and classes), 'seed', 'daas_jax' (the version).
  """
  images: Any = getattr(data, 'train_images', None)
  of: dict[str, Any] = {'name': data.name}
  if hasattr(images, 'shape'):
    of |= {'train_images': len(images), 'image_shape': list(map(int, images.shape[1:]))}
  of |= {'classes': len(data.class_names)} if hasattr(data, 'class_names') else {}
  method = {'method': config.method} if 'method' in config else {}
  return method | {'network': config.network.name, 'data': of, 'seed': config.seed,
                   'daas_jax': daas_jax.__version__}


def describe_policy(path: str, config: Any, data: Any) -> None:
  """Has a policy.json say what its numbers mean and where it comes from, under "about".

  Args:
    path: the file, as a space of policies has written it.
    config, data: of the search.
  """
  text = storage.read_text(path)
  content = json.loads(text)
  # a space of a program may leave a file of a form that nobody has registered
  known = isinstance(content, dict) and content.get('format') in registry.formats()
  per = Policy(content).per if known else ''
  used = sorted({name for name in OPS if f'"{name}"' in text}, key=list(OPS).index)
  about = facts(config, data) | {
      'units': {name: OPS[name].unit for name in used if OPS[name].graded},
      'random_sign': [name for name in used if OPS[name].signed],
      'around': _around(config)}
  if per:
    chunk = f'a policy for every {per.removeprefix("chunk:")} images in a row'
    about['drawn'] = _DRAWN.get(per, chunk) + _DRAWN_ANYWAY
  # the first entry, in a line of its own: the rest of the file stays as its space has laid it out
  head, _, rest = text.partition('{')
  atomic.write(path, f'{head}{{"about": {json.dumps(about)},\n {rest}')


def _around(config):
  """What comes before and after a policy, in words."""
  group = config.preprocess
  crop = ('random resized crop' if group.crop == 'resized' else
          f'random crop after {group.padding} pixels of padding' if group.padding else '')
  standard = ' and '.join(x for x in (crop, 'horizontal flip' if group.flip else '') if x)
  after = ['normalisation'] + ([f'Cutout of {group.cutout} pixels'] if group.cutout else [])
  if group.policy_first:
    return f'nothing before it, {", ".join([standard] * bool(standard) + after)} after it'
  return f'{standard or "nothing"} before it, {", ".join(after)} after it'


def origin(**searches: str | None) -> dict[str, Any]:
  """What results.json of a training says of the searches that it comes from.

  Args:
    **searches: {what is taken from it: workdir, or None}.

  Returns:
    {} without any, else {'from': {what: {'workdir': its last name, 'sha256': {file: of what it
    found}}}}.
  """
  found = {what: _named(folder) | {'sha256': _digests(folder)}
           for what, folder in searches.items() if folder}
  return {'from': found} if found else {}


def _named(folder):
  name = os.path.basename(os.path.abspath(os.path.expanduser(folder)))
  return {} if name.startswith(TEMPORARY) else {'workdir': name}


def _digests(folder):
  out = {}
  for name in ('policy.json', 'genotype.json', 'blocks.json'):
    with contextlib.suppress(OSError, ValueError):
      content = storage.read_text(os.path.join(folder, name)).encode()
      out[name] = hashlib.sha256(content).hexdigest()
  return out


def _versions():
  out = {'python': platform.python_version(), 'daas_jax': daas_jax.__version__}
  for name in _PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      out[name] = importlib.metadata.version(name)
  return out


def _now():
  return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


@contextlib.contextmanager
def session(folder: str, last: str) -> Iterator[None]:
  """Notes in run.json of an opened workdir when, on what and by what versions a run is run.

  Args:
    folder: the workdir.
    last: the file that a run writes last: where it is there, nothing is left to be noted.
  """
  if os.path.exists(os.path.join(folder, last)):
    yield
    return
  path, begun = os.path.join(folder, 'run.json'), time.monotonic()
  device = jax.devices()[0]
  row = {'begun': _now(), 'ended': None, 'seconds': None, 'platform': device.platform,
         'device': device.device_kind, 'devices': jax.device_count(), 'machine': platform.machine(),
         'versions': _versions()}
  before = _sessions(path)
  _write(path, [*before, row])
  refused = False
  try:
    yield
  except BadInput:  # nothing was run: nothing is changed
    refused = True
    raise
  finally:
    ended = row | {'ended': _now(), 'seconds': round(time.monotonic() - begun, 1)}
    with contextlib.suppress(OSError):  # a full disk has been said already
      _write(path, before if refused else [*before, ended])


def _write(path, rows):
  """run.json of these rows; none is no file."""
  if not rows:
    os.remove(path)
    return
  atomic.write(path, json.dumps({'sessions': rows}, indent=1) + '\n')


def _sessions(path):
  """The rows of run.json; none of a file that is not there or is damaged: it only tells."""
  try:
    rows = storage.read_json(path)['sessions']
  except (OSError, ValueError, KeyError, TypeError):
    return []
  return rows if isinstance(rows, list) else []
