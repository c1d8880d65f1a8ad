"""Makes data sets ready without TensorFlow: the packaged images, and Fashion-MNIST and CIFAR for
TFDS.

TFDS's own builders of these sets read their files through TensorFlow. Here the files are read with
numpy, checked against their known SHA-256, and handed to a small subclass of the stock builder, so
that TFDS reads the result as its own.
"""

import io
import os
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import numpy as np

from daas_jax.data import raw, sources, tfds as tfds_lib
from daas_jax.errors import BadInput
from daas_jax.files import atomic

_PROBE_S = 10
_REPORT_EVERY = 10_000
EMBEDDED_PER_CLASS = (400, 200)


def prepare_tfds(name, source=None, data_dir=None, recipe=None, report=print):
  """Prepares a set for TFDS, as array_record, under TFDS's own name and version.

  Args:
    name: one of `daas_jax.data.tfds.PREPARABLE`.
    source: folder of the original files (for CIFAR also the archive itself); None downloads them
      through TFDS's download manager, into data_dir/downloads.
    data_dir: the TFDS data folder; None for TFDS's default.
    recipe: raw.Recipe in the place of raw.RECIPES[name]; for tests.
    report: called with each line of progress.

  Returns:
    The folder of the prepared set, str. A set that was there already is left as it is.

  Raises:
    BadInput: a bad name, source or folder. What was begun is removed; even if the process is
      killed, TFDS renames its folder only when all is written, so that half a set is never taken
      for a prepared one.
  """
  if name not in raw.RECIPES:
    raise BadInput(f'{name} cannot be prepared without TensorFlow; {", ".join(raw.RECIPES)} can')
  recipe = recipe or raw.RECIPES[name]
  builder, prepared = tfds_lib.find_tfds(name, data_dir)
  if prepared:
    report(f'{name} is already prepared: {builder.data_path}')
    return str(builder.data_path)
  data_dir = str(builder.data_path.parent.parent)
  if source is None:
    files = fetch(name, builder.url_infos, os.path.join(data_dir, 'downloads'), report)
  else:
    files = os.path.expanduser(source)
    if not os.path.exists(files):
      raise BadInput(
          f'{name}: no folder {source}; give the folder of the original files with --source=DIR')
  content = recipe.read(recipe, files, report)
  try:
    return _write(name, content, data_dir, report)
  # TFDS wraps errors of every kind; whatever it was, the set has not appeared
  except Exception as e:
    raise BadInput(
        f'{name} cannot be written under {data_dir} ({raw.short(e)}); check the folder and its '
        'free space') from None


def _write(name, content, data_dir, report):
  import PIL.Image
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import registered
  stock = tfds.builder_cls(name)
  with registered.skip_registration():
    # Name, features and version are the stock builder's; only where the examples come from differs.
    class Builder(stock):
      pkg_dir_path = None

      def _log_download_bytes(self):
        pass  # would speak of a download that does not happen

      def _log_download_done(self):
        pass

      def _split_generators(self, dl_manager):
        del dl_manager
        for feature, names in content.names.items():
          self.info.features[feature].names = names
        return {split: self._generate_examples(split) for split in ('train', 'test')}

      def _generate_examples(self, split):
        images, labels = content.images[split], content.labels[split]
        for i, image in enumerate(images):
          # TFDS encodes arrays through TensorFlow, and PIL images through PIL.
          image = PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
          example = {'image': image, **{key: int(values[i]) for key, values in labels.items()}}
          if 'id' in self.info.features:
            example['id'] = f'{split}_{i:05d}'
          yield i, example  # TFDS shuffles by this key: the order on disk is the stock builder's
          if (i + 1) % _REPORT_EVERY == 0 or i + 1 == len(images):
            report(f'wrote {i + 1} of {len(images)} {split} images')

    Builder.name = name
  tfds.disable_progress_bar()
  builder = Builder(data_dir=data_dir, file_format='array_record')
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
  report(f'prepared {name}: {builder.data_path}')
  return str(builder.data_path)


def fetch(name, url_infos, folder, report=print):
  """Downloads files through TFDS's download manager, which checks their SHA-256 and keeps the
  files.

  Args:
    name: the set, for messages.
    url_infos: dict address -> TFDS's UrlInfo (size, SHA-256, file name).
    folder: where they are kept.
    report: called with each line of progress.

  Returns:
    dict file name -> path.

  Raises:
    BadInput: no network, no answer or a wrong SHA-256. A missing network shows within seconds: TFDS
      itself would try again for minutes.
  """
  import tensorflow_datasets as tfds
  urls = {os.path.basename(urllib.parse.urlparse(url).path): url for url in url_infos}
  by_hand = f'fetch {", ".join(urls)} by hand and give their folder with --source=DIR'
  try:
    _probe(next(iter(urls.values())))
    report(f'downloading {", ".join(urls)} into {folder}')
    tfds.disable_progress_bar()
    manager = tfds.download.DownloadManager(download_dir=folder, url_infos=dict(url_infos),
                                            dataset_name=name, force_checksums_validation=True)
    return {file: os.fspath(path) for file, path in manager.download(urls).items()}
  except Exception as e:  # requests, urllib, promise and TFDS each raise their own
    raise BadInput(
        f'{name} cannot be downloaded ({type(e).__name__}: {raw.short(e)}); {by_hand}') from None


def _probe(url):
  """Asks once, with a short wait, whether the host answers; any answer below 500 will do."""
  try:
    urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=_PROBE_S).close()
  except urllib.error.HTTPError as e:
    if e.code >= 500:
      raise


def embedded_arrays(source, recipe=raw.RECIPES['fashion_mnist'], per_class=EMBEDDED_PER_CLASS,
                    report=print):
  """The packaged subset, from the original files: the first images of every class, in the files'
  order.

  Args:
    source: folder of the four IDX files.
    recipe: raw.Recipe with their digests.
    per_class: (training, test) images of each class.
    report: called with each line of progress.

  Returns:
    (train_images uint8 [N, 28, 28, 1], train_labels int64 [N], test_images, test_labels).

  Raises:
    BadInput: a bad source.
  """
  content = recipe.read(recipe, source, report)
  out = []
  for split, count in zip(('train', 'test'), per_class):
    labels = content.labels[split]['label']
    keep = np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]))
    out += [content.images[split][keep], labels[keep]]
  return tuple(out)


def pack(splits):
  """Encodes four arrays as sources.unpack reads them: the bytes of an .npz file.

  Nothing here is compressed by a library: a bit a pixel says whether it is zero, and the non-zero
  bytes follow. So the file is the same whatever the version of zlib, decodes in milliseconds, and
  is 2.9 MB.
  """
  arrays = {}
  for split, images, labels in (('train', *splits[:2]), ('test', *splits[2:])):
    flat = images.reshape(-1)
    arrays.update({f'{split}_mask': np.packbits(flat != 0), f'{split}_values': flat[flat != 0],
                   f'{split}_labels': labels.astype(np.uint8)})
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_STORED) as file:
    for key, array in arrays.items():
      member = io.BytesIO()
      np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
      info = zipfile.ZipInfo(f'{key}.npy', date_time=(1980, 1, 1, 0, 0, 0))
      # not of the machine that it was made on
      info.create_system, info.external_attr = 3, 0o644 << 16
      file.writestr(info, member.getvalue())
  return buffer.getvalue()


def prepare_embedded(source, out=None, recipe=raw.RECIPES['fashion_mnist'],
                     per_class=EMBEDDED_PER_CLASS, report=print):
  """Remakes the packaged images bit for bit, and puts their licence beside them.

  Args:
    source: folder of the four IDX files, raw or .gz.
    out: folder to write to; None for the package's own.
    recipe, per_class, report: as in embedded_arrays.

  Returns:
    The path of the .npz file, str. A file that is there already and the same is left as it is.

  Raises:
    BadInput: a bad source, a folder that cannot be written, or a file of other content in the way.
  """
  out = os.path.expanduser(out or sources.EMBEDDED_DIR)
  source = os.path.expanduser(source)
  content = pack(embedded_arrays(source, recipe, per_class, report))
  with open(os.path.join(sources.EMBEDDED_DIR, 'LICENSE'), 'rb') as file:
    licence = file.read()
  path = os.path.join(out, sources.EMBEDDED_FILE)
  try:
    os.makedirs(out, exist_ok=True)
    for target, wanted in ((path, content), (os.path.join(out, 'LICENSE'), licence)):
      if os.path.exists(target):
        if raw.read_bytes(target) != wanted:
          raise BadInput(
              f'{target} exists and differs; move it away, or give another folder with --out=DIR')
        report(f'{target} is there already, byte for byte the same')
      else:
        atomic.write(target, wanted)
        report(f'wrote {target}, {len(wanted)} bytes')
  except OSError as e:
    raise BadInput(
        f'{out} cannot be written ({raw.short(e)}); give another folder with --out=DIR') from None
  return path
