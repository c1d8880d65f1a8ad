"""`daas_jax.search(images, labels, ...)`: a search as a function of a program."""

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
  workdirs,
)
from daas_jax.nets import losses
from daas_jax.runtime import progress as progress_lib
from daas_jax.search import whole


def search(images: Any = None, labels: Any = None, *, validation: tuple[Any, Any] | None = None,
           test: tuple[Any, Any] | None = None, class_names: Any = None, method: str | None = None,
           network: Any = None, loss: Callable | None = None, config: Any = None,
           workdir: str | os.PathLike | None = None, given: Any = None,
           progress: bool = True, **settings: Any) -> found.Found:
  """Searches an augmentation policy, an architecture or both on images of yours.

  Shows its progress, keeps everything in the workdir, and goes on with a search that was ended
  there before, as the command does.

  Args:
    images: uint8 [N, H, W, C], or floating in [0, 1], C = 1 or 3: numpy's, JAX's or PyTorch's; or
      the name of a set ('folder:DIR', 'tfds:NAME', as the config key data.name takes it); None:
      the set that the config names.
    labels: integers [N], classes from 0; with a `loss`, whatever that takes, [N, ...]. None where
      images is a name.
    validation: (images, labels) that D_val is then all of; None: a seeded share of the images,
      data.val_fraction.
    test: (images, labels) that a method which measures its network at the end takes; None: none.
    class_names: one string a class; None: '0', '1', ...
    method: 'daas', 'ddas', ... (`daas_jax.all_methods`); None: the config's, or DAAS.
    network: the name of a network, a flax linen module (or its class, called with num_classes=n),
      or a flax nnx module (or a function of rngs that makes one); None: the config's.
    loss: (outputs [B, ...], labels [B, ...]) -> the loss of a batch [], or of each image [B],
      instead of the cross-entropy; for a network of yours or a fixed one.
    config: a ConfigDict (`daas_jax.search_config`), or the name or file of a config; None: the
      method's defaults, the papers' numbers.
    workdir: where the search is kept; None: a new temporary folder, which is said.
    given: an earlier search (`Found`, or its workdir) whose policy or architecture is given to this
      one (policy.name or network.genotype is 'searched').
    progress: whether it shows anything.
    **settings: config keys, by their last word where that is one key's alone (epochs=5, batch=64),
      or in full, **{'theta.lr': 0.1}.

  Returns:
    `Found`.

  Raises:
    BadInput: anything that is wrong, in one line.
    Diverged: a loss became infinite or NaN.
    Interrupted, Terminated: it was asked to end; the same call goes on.
  """
  own = losses.own(loss) if loss else losses.CROSS_ENTROPY
  stream = sys.stdout if progress else progress_lib.Silent()
  earlier = inputs.search_of(given)
  config = settings_lib.config_of('search', config, settings, method)
  data = data_lib.of(config, images, labels, validation, test, class_names, loss is not None)
  with config.unlocked():
    if network is not None:
      config.network.name = networks.name_of(network, config.seed)
  config_lib.check(config, 'search')
  path = session.workdir_of(workdir, 'search', lambda line: print(line, file=stream))
  with session.opened(path if workdir is None else None) as should_stop:
    whole.run(config, path, earlier.workdir if earlier else None, should_stop, data, own, stream)
  return found.Found(workdirs.place(path), own_network=network)
