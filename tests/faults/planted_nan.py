"""A search, or a training, on 4 devices in which a checkerboard makes somebody's gradient NaN.

As a command, `python planted_nan.py FOLDER OVER WHEN STEP ROW`: the validation image in row ROW of step STEP (from 0)
is one. With OVER 'data' the device that has it in its rows gets NaN, with 'samples', where all have it, device 2; with
'train' it is an image that is trained on. WHEN is "always", or "once": not when the steps are repeated. Prints why the run ended, and the checkpoints it kept.
"""

import json
import os
import sys

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

import several
from daas_jax import errors
from daas_jax.data import order, select, splits
from daas_jax.methods import problem, training
from daas_jax.nets import devices
from daas_jax.policies import given
from daas_jax.runtime import loop, progress
from daas_jax.search import job as job_lib
from daas_jax.train import whole


@jax.custom_vjp
def _poisoned(w, bad):
  del bad
  return w


_poisoned.defvjp(lambda w, bad: (w, bad), lambda bad, g: (jnp.where(bad, jnp.nan, g), np.zeros((), jax.dtypes.float0)))


def _planted(network, over):
  """`problem.network`, or that of a training, whose gradient is NaN where a checkerboard is among its images."""
  class Planted:
    def __init__(self, *arguments):
      self._net = network(*arguments)
      self.init = self._net.init

    def apply(self, variables, *rest, **words):
      if over == 'train' and not rest[1]:
        return self._net.apply(variables, *rest, **words)
      steps = jnp.abs(jnp.diff(rest[0 if over == 'train' else 1], axis=2))
      bad = jnp.any(jnp.all((steps > 0) & (jnp.abs(steps - steps[:, :1, :1]) < 1e-5), (1, 2, 3)))
      bad &= (over != 'samples') | (lax.axis_index(devices.AXIS) == 2)
      poison = lambda w: _poisoned(w, bad)
      variables = variables | {'params': jax.tree.map(poison, variables['params'])}
      return self._net.apply(variables, *rest, **words)

  return Planted


def _rows(config, data, step):
  """The images of a step, of D_val in a search."""
  parts = splits.of(data, config.seed, 1 - config.data.val_fraction)
  if config.kind == 'train':
    return parts[0][order.TrainOrder(len(parts[0]), config.seed, config.train.batch)(step)[0]]
  return order.SearchOrder(parts, config.seed, config.search.batch, config.search.val_batches)(step)[1]


def main(folder, over, when, step, row):
  room = training if over == 'train' else problem
  config = several.config_of('train_shaken' if over == 'train' else 'ddas', over, 4)
  if over == 'train':
    config.policy, config.preprocess.padding, config.preprocess.flip = 'none', 0, False
  config.log.every_steps, config.checkpoint.every_steps = 2, 2
  data = select.from_config(config)
  images = np.array(data.train_images)
  images[_rows(config, data, int(step))[int(row)]] = 255 * (np.indices(images.shape[1:]).sum(0) % 2)  # no policy
  data = data._replace(train_images=images)                                                          # makes such a one
  right = room.network
  room.network = _planted(right, over)
  job = whole.job(config, data, None, given.find('none', None))[0] if over == 'train' else job_lib.of(config, data)
  run_step, done = job.step, []

  def stepped(state, batch):
    out = run_step(state, batch)
    done.append(1)
    if when == 'once':  # what is traced from here on is whole
      room.network = right
    return out

  with progress.silent() as reporter:
    try:
      loop.run(job._replace(step=stepped), folder, config, reporter)
    except errors.Diverged as error:
      kept = sorted(int(name) for name in os.listdir(os.path.join(folder, 'checkpoints')))
      print(json.dumps({'why': str(error), 'kept': kept, 'steps': len(done)}))


if __name__ == '__main__':
  main(*sys.argv[1:])
