"""docs/estimate.py: what it counts, what it makes of it, and that the page shows what it prints."""

import re

import commands
from conftest import ROOT
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets import count
from daas_jax.nets.cells.supernet import SuperNet

estimate = commands.docs_module('estimate')


def _program(function, *arguments):
  return estimate.program(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_a_product_a_convolution_and_a_loop_by_hand():
  a, b = jnp.zeros((2, 3)), jnp.zeros((3, 5))
  product = estimate.Cost(2 * 3 * 5, 2 * 4 * (6 + 15 + 10), 1)
  assert _program(jnp.dot, a, b) == product
  assert _program(lambda a: jax.lax.scan(lambda c, _: (c, a @ b), 0, None, 7)[1], a) == product.times(7)
  image, kernel = jnp.zeros((4, 8, 8, 6)), jnp.zeros((3, 3, 1, 6))
  convolve = lambda x, w: jax.lax.conv_general_dilated(x, w, (2, 2), 'SAME', feature_group_count=6,
                                                       dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  assert _program(convolve, image, kernel).products == 4 * 4 * 4 * 6 * 9


def test_a_branch_counts_as_often_as_it_is_taken():
  a, work = jnp.zeros((2, 2)), [lambda a: a, lambda a: a @ a, lambda a: a @ a @ a]
  assert _program(lambda i, a: jax.lax.switch(i, work, a), 0, a).products == pytest.approx((0 + 8 + 16) / 3)
  # A reduction cell: of a node's 2, 3, 4, 5 edges two are drawn, and two leave an input of the cell.
  assert estimate._branch_weights(14) == pytest.approx([(1 + 2 / 3 + 2 / 4 + 2 / 5) / 4 / 7] * 7
                                                       + [(0 + 1 / 3 + 2 / 4 + 3 / 5) / 4 / 7] * 7)


def test_a_uniform_search_costs_the_mean_of_its_operations():
  names = ('max_pool_3x3', 'sep_conv_3x3', 'dil_conv_5x5')

  def forward(primitives):
    net, x = SuperNet(10, 3, 4, primitives, kernels='counted'), jnp.zeros((1, 8, 8, 3))
    z = {'A': jnp.ones((2, 14, len(primitives))) / len(primitives), 'B': jnp.ones((2, 14))}
    theta = jax.eval_shape(lambda: net.init(jax.random.key(0), z, x))
    return jax.make_jaxpr(net.apply)(theta, z, x).jaxpr

  mean = np.mean([estimate.program(forward((name,))).products for name in names])
  assert estimate.program(forward(names)).products == pytest.approx(mean)
  assert estimate.program(forward(names[1:2])).products == count._of(forward(names[1:2]))  # the package's own counter


@pytest.fixture(scope='module')
def printed():
  return estimate.tables()


PAGES_JAX = '0.10.2'
NUMBER = re.compile(r'\d[\d,]*\.?\d*')


def _differ(page, printed, most):
  """Whether a page lacks a table of other words than numbers, or a number of it is off by more than a share."""
  words = lambda text: NUMBER.sub('\0', text)
  numbers = lambda text: np.array([float(n.replace(',', '').rstrip('.')) for n in NUMBER.findall(text)])
  before, found, _ = words(page).partition(words(printed))
  first, wanted = before.count('\0'), numbers(printed)
  shown = numbers(page)[first:first + len(wanted)]
  # of one digit a unit is more than a tenth
  return not found or bool(np.any(np.abs(shown - wanted) > np.maximum(most * shown, 1)))


def test_the_page_shows_what_is_printed(printed):
  """To the last digit by the jax that it names; another traces a few kernels more or less."""
  page = (ROOT / 'docs' / 'pods.md').read_text(encoding='utf-8')
  assert f'jax {PAGES_JAX}' in page
  tables = printed.split('\n\n')
  assert len(tables) > 3 and not _differ(page, tables[0], 0.0) or jax.__version__ != PAGES_JAX
  assert _differ(page, tables[0].replace('1,930,618', '2,930,618'), 0.1) and _differ(page, tables[0] + '7', 0.1)
  if jax.__version__ == PAGES_JAX:
    missing = [table for table in tables if table not in page]
  else:
    missing = [table for table in tables if _differ(page, table, 0.1)]
  assert not missing, 'python docs/estimate.py prints other tables than docs/pods.md has: put them there'


def test_a_row_by_hand():
  """n_arch (n_aug + 2) + n_w passes: 80 of 16 and 16, 5 a device of 16; 30 of the paper's 5 and 10."""
  machine = estimate.Machine('m', 1, 16, 1, 1e12, 0.1, 1e12, 1e9, 1e-3, 0.0, 0.0)
  config = estimate.config_file.run(str(ROOT / 'configs' / 'daas_cifar10.py'))
  cost = estimate.Cost(products=5e8, normalisations=9)  # 10 ms
  counted = estimate.Counts(1_000_000, 0, config, {64: cost, 4: cost}, (32, 32, 3), 50_000)
  row = estimate.estimate(counted, machine, 'samples', 16, (16, 16), 64)
  ring = 2 * 15 / 16 * 4e6  # bytes; 7.5 ms at 1 GB/s
  assert row.passes == 5 and row.moved == ring and row.collectives == 1
  assert row.joint == pytest.approx(5 * 0.010 + 0.0075 + 0.001) and row.warmup == pytest.approx(0.020 + 0.0085)
  assert row.hours == pytest.approx(390 * (20 * row.warmup + 30 * row.joint) / 3600)
  split = estimate.estimate(counted, machine, 'data', 16, (5, 10), 64)
  assert split.passes == 30 and split.moved == 30 * ring and split.collectives == 300
  assert split.joint == pytest.approx(30 * (0.010 + 0.0075 + 0.010))
