"""`daas_jax.train(images, labels, ...)`: a training as a function of a program."""

from collections.abc import Callable
import os
import sys
from typing import Any

from daas_jax.config import schema as config_lib
from daas_jax.library import (
  data as data_lib,
  found,
  inputs,
  networks,
  session,
  settings as settings_lib,
  trained,
  workdirs,
)
from daas_jax.nets import losses
from daas_jax.runtime import progress as progress_lib
from daas_jax.train import whole


def train(images: Any = None, labels: Any = None, *, policy: Any = None, genotype: Any = None,
          search: Any = None, validation: tuple[Any, Any] | None = None,
          test: tuple[Any, Any] | None = None, class_names: Any = None, network: Any = None,
          loss: Callable | None = None, config: Any = None,
          workdir: str | os.PathLike | None = None, progress: bool = True,
          **settings: Any) -> trained.Trained:
  """Trains a network from scratch under a policy, on images of yours.

  The epoch with the best validation accuracy (under a loss of yours: the smallest validation loss)
  is kept, with val_fraction=0 the last one. Shows its progress, keeps everything in the workdir,
  and goes on with a training that was ended there before, as the command does.

  Args:
    images, labels, validation, test, class_names, network, loss: as `daas_jax.search` takes them;
      the test images are read at the end.
    policy: what a search found (`Found.policy`, or any policy that has a file's content), the name
      of a baseline ('trivial_augment', 'standard', 'none', ...) or a policy file; None: the
      search's, or the config's.
    genotype: what a search found (`Found.genotype`), a file or a name, as the command takes it
      ('darts_v2', 'random:0', 'random_like:0' of as many weights as what `search` found); None: the
      search's, or the config's.
    search: the search whose result is trained: `Found`, or its workdir. With it policy, genotype
      and network need not be given.
    config: a ConfigDict (`daas_jax.train_config`), or the name or file of a config; None: the
      defaults, the papers' numbers.
    workdir: where the training is kept; None: a new temporary folder, which is said.
    progress: whether it shows anything.
    **settings: config keys, by their last word where that is one key's alone (epochs=5, batch=64),
      or in full, **{'train.lr': 0.1}.

  Returns:
    `Trained`.

  Raises:
    BadInput: anything that is wrong, in one line.
    Diverged: a loss became infinite or NaN.
    Interrupted, Terminated: it was asked to end; the same call goes on.
  """
  own = losses.own(loss) if loss else losses.CROSS_ENTROPY
  stream, defaults = sys.stdout if progress else progress_lib.Silent(), config is None
  config = settings_lib.config_of('train', config, settings)
  data = data_lib.of(config, images, labels, validation, test, class_names, loss is not None)
  if network is None and isinstance(search, found.Found):
    network = search.own_network
  name = None if network is None else networks.name_of(network, config.seed)
  with inputs.written(policy, genotype, search) as files, config.unlocked():
    config.network.name = name or config.network.name
    inputs.fill(config, files, name is not None, defaults, set(settings))
    smoothing = getattr(policy, 'smoothing', 1)
    if smoothing != 1 and not {'policy_smoothing', 'train.policy_smoothing'} & set(settings):
      config.train.policy_smoothing = smoothing
    config_lib.check(config, 'train')
    path = session.workdir_of(workdir, 'train', lambda line: print(line, file=stream))
    with session.opened(path if workdir is None else None) as should_stop:
      whole.run(config, path, files.search, files.policy_search, should_stop, data, own, stream)
  return trained.read(workdirs.place(path))
