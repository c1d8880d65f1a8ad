"""Networks that a program gives: by name, of linen, of nnx; and what is wrong with one."""

from flax import nnx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from library import small

import daas_jax as dx
from daas_jax.data import given
from daas_jax.errors import BadInput
from daas_jax.library import networks
from daas_jax.nets import linen, registry as nets
from daas_jax.nets.nnx import FromNnx


@pytest.fixture(autouse=True)
def registered(monkeypatch):
  monkeypatch.setattr(nets.NETWORKS, '_rows', dict(nets.networks()))


def _config(network):
  config = dx.train_config()
  config.network.name, config.genotype = networks.name_of(network), 'none'
  return config


@pytest.fixture(scope='module')
def data():
  return given.from_arrays(*small.images(8))


@pytest.mark.parametrize('network', [
    small.Net, small.Net(), lambda num_classes: small.Net(num_classes),
    lambda rngs: small.NnxNet(rngs), small.NnxNet, small.NnxNet(nnx.Rngs(0)), small.SizedNnx])
def test_every_kind_of_network_is_taken(network, data):
  networks.check(_config(network), data)


def _raising(num_classes):
  raise ValueError('mine')


@pytest.mark.parametrize('network, message', [
    (small.Net(3), r"network 'Net' gives outputs of shape \[2, 3\] for 2 images and 2 classes, not "
     r'\[2, 2\]: end it with 2 logits, such as nn.Dense\(2\)'),
    (small.Segment(), r"network 'Segment' gives outputs of shape \[2, 8, 8, 2\]"),
    (small.Impure(), "network 'Impure' gives other outputs for the same variables"),
    (small.Bad(), r"network 'Bad' cannot be applied to images \[2, 8, 8, 1\]: TypeError"),
    (lambda num_classes: 'no module', 'no flax module'), (_raising, 'ValueError: mine'), (small.Pair(), 'gives tuple for'), (7, 'network must be the name of'),
    (lambda num_classes: nn.Sequential([lambda x: jnp.zeros((len(x), 2))]), 'has no weights'),
    ('small_cn', "no network 'small_cn' is known")])
def test_what_is_wrong_with_a_network_is_one_line(network, message, data):
  with pytest.raises(BadInput, match=message) as error:
    networks.check(_config(network), data)
  assert '\n' not in str(error.value)


def _same_weights():
  """(linen module and variables, nnx module) of the same numbers."""
  images = jnp.asarray(small.images(8)[0] / 255.0, jnp.float32)
  module, other = linen.InTraining(small.Net()), small.NnxNet(nnx.Rngs(3))
  variables = module.init(jax.random.key(0), images)
  params, stats = variables['params'], variables['batch_stats']
  other.conv.kernel[...], other.conv.bias[...] = params['Conv_0']['kernel'], params['Conv_0']['bias']
  other.norm.scale[...], other.norm.bias[...] = (params['BatchNorm_0'][n] for n in ('scale', 'bias'))
  other.norm.mean[...], other.norm.var[...] = (stats['BatchNorm_0'][n] for n in ('mean', 'var'))
  other.heads[0].kernel[...], other.heads[0].bias[...] = (params['Dense_0'][n] for n in ('kernel', 'bias'))
  other.drop.rate = 0.0
  return images, (linen.InTraining(_WithoutDropout()), variables), linen.InTraining(FromNnx(other))


class _WithoutDropout(nn.Module):

  @nn.compact
  def __call__(self, images, train):
    x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Conv(4, (3, 3), 2)(images)))
    return nn.Dense(2)(x.reshape(len(x), -1))


def test_one_network_in_linen_and_in_nnx_has_equal_losses_gradients_and_averages():
  images, (net, variables), other = _same_weights()
  labels = np.arange(8) % 2

  def trained(net, variables):
    kept = {name: x for name, x in variables.items() if name != 'params'}

    def loss(params):
      (logits, _), changed = net.apply({'params': params} | kept, images, True, mutable=list(kept),
                                       rngs={'drop_path': jax.random.key(1)})
      return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(8), labels]), changed

    (value, changed), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables['params'])
    tested = net.apply(variables | dict(changed), images, False)[0]
    return value, sorted(np.linalg.norm(g) for g in jax.tree.leaves(gradient)), tested

  of_linen, of_nnx = trained(net, variables), trained(other, other.init(jax.random.key(5), images))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), of_linen, of_nnx)


def test_an_nnx_module_draws_by_the_key_and_starts_from_its_own_weights():
  net = linen.InTraining(FromNnx(small.NnxNet(nnx.Rngs(3))))
  images = jnp.asarray(small.images(8)[0] / 255.0, jnp.float32)
  variables = net.init(jax.random.key(0), images)
  jax.tree.map(np.testing.assert_array_equal, variables, net.init(jax.random.key(1), images))
  assert list(variables['params']['heads']) == ['0'], 'names, that files can hold'
  out = [net.apply(variables, images, True, mutable=['state'], rngs={'drop_path': jax.random.key(i)})[0][0]
         for i in (0, 0, 1)]
  np.testing.assert_array_equal(out[0], out[1])
  assert np.abs(out[0] - out[2]).max() > 1e-3


def test_a_network_is_known_by_its_program_and_not_by_its_weights(data):
  one, same = (networks.check(_config(small.Net(2)), data) for _ in range(2))
  assert one == same and one.count('\n') == 1
  assert networks.check(_config(small.Relu()), data) != networks.check(_config(small.Tanh()), data)
  config = _config(small.Net(2))
  net = nets.networks()['Net'].train(config, None, 2, '')
  assert networks.program_of(net, (8, 8, 1)) + '\n' == one
