"""The trained form of the network for checks: flax's own layers on the same weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.config import train_config
from daas_jax.methods import training


def _network():
  config = train_config()
  config.network.name, config.network.channels = 'small_cnn', 3
  return training.network(config, None, 5)


def _layers(variables, images):
  x = images
  for stage in ('stage0', 'stage1', 'stage2'):
    w, averages = variables['params'][stage], variables['batch_stats'][stage]
    x = nn.Conv(w['conv'].shape[-1], (3, 3), use_bias=False).apply({'params': {'kernel': w['conv']}}, x)
    x = nn.BatchNorm(use_running_average=True).apply(
        {'params': {'scale': w['bn_scale'], 'bias': w['bn_offset']},
         'batch_stats': {'mean': averages['bn_mean'], 'var': averages['bn_variance']}}, x)
    x = nn.avg_pool(nn.relu(x), (2, 2), (2, 2))
  return jnp.mean(x, (1, 2)) @ variables['params']['classifier']['kernel'] + variables['params']['classifier_bias']


def test_it_is_three_convolutions_and_a_classifier():
  net, images = _network(), jax.random.normal(jax.random.key(0), (4, 9, 8, 1))
  variables = net.init(jax.random.key(1), images, False)
  _, changed = net.apply(variables, images, True, mutable=['batch_stats'])
  assert not np.array_equal(changed['batch_stats']['stage0']['bn_mean'], variables['batch_stats']['stage0']['bn_mean'])
  variables = {'params': variables['params'], **changed}
  logits, auxiliary = net.apply(variables, images, False)
  assert auxiliary is None and logits.shape == (4, 5)
  np.testing.assert_allclose(logits, _layers(variables, images), rtol=1e-4, atol=1e-5)
  assert sorted(w.shape for w in jax.tree.leaves(variables['params']) if w.ndim == 4) == [
      (3, 3, 1, 3), (3, 3, 3, 6), (3, 3, 6, 12)]
