"""docs/cells.py: what its regression says of operations whose worth is known."""

import re

import commands
import jax
import numpy as np
import pytest

from daas_jax.nets.cells import architecture, genotype as genotype_lib

DOCS = commands.docs_module('cells')
NAMES = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')
WORTH = np.array([0.3, 0.1, -0.25, -0.15])  # of a place, in losses; they sum to 0


def _cells(n, noise, seed=0):
  rng = np.random.default_rng(seed)
  counts = np.array([np.bincount(rng.integers(0, 4, 16), minlength=4) for _ in range(n)])
  return counts @ WORTH + 2 + noise * rng.normal(size=n), counts.astype(float)


def test_the_worth_of_every_operation_comes_out():
  effects = DOCS.effects(*_cells(40, 0.0), NAMES)
  np.testing.assert_allclose([w for w, _ in effects], WORTH, atol=1e-10)
  np.testing.assert_allclose([se for _, se in effects], 0, atol=1e-8)


def test_the_standard_error_is_the_spread_over_cells():
  found = np.array([DOCS.effects(*_cells(40, 0.5, seed), NAMES) for seed in range(300)])
  assert np.all(np.abs(found[..., 0].mean(0) - WORTH) < 4 * found[..., 0].std(0) / 300**0.5)
  np.testing.assert_allclose(found[..., 0].std(0), np.sqrt((found[..., 1] ** 2).mean(0)), rtol=0.2)


def test_the_page_has_every_row():
  losses, counts = _cells(DOCS.CELLS, 0.01)
  results = {f'{kind}|{i}': (losses[i], 0.7 + losses[i] / 100) for i in range(DOCS.CELLS) for kind in (
      *(f'alone|{r}' for r in range(DOCS.REPEATS)), *(f'shared|{steps}' for steps in DOCS.SHARED))}
  results |= {f'{kind}|{name}': (1.0, 0.25) for name in NAMES for kind in (
      *(f'alone|{r}' for r in range(DOCS.REPEATS)), *(f'shared|{steps}' for steps in DOCS.SHARED))}
  text = DOCS.as_text(results, NAMES, counts, 100 * counts[:, 2] + 300 * counts[:, 3])
  assert text.count('(25 %)') == len(NAMES) * (1 + len(DOCS.SHARED))
  assert re.search(r'\| alone \| \+(29|30)\d ± ', text)
  assert 'rank correlation of the first with the second training 1.00' in text and 'nan' not in text


def test_what_weights_explain_is_taken_off():
  """Of a line through weights nothing is left; of what is independent of them, its own variance on average."""
  rng = np.random.default_rng(1)
  weights = rng.uniform(1e3, 1e4, (500, 30))
  np.testing.assert_allclose(DOCS.beyond(3 - 2e-4 * weights[0], weights[0]), 0, atol=1e-12)
  left = [DOCS.beyond(3 - 2e-4 * w + rng.normal(size=30), w).var(ddof=1) for w in weights]
  assert abs(np.mean(left) - 1) < 4 * np.std(left) / len(left) ** 0.5


def test_a_path_is_its_genotype():
  z = architecture.sample(jax.random.key(3), architecture.init(jax.random.key(0), NAMES), 1.0)
  found = genotype_lib.derive(z['A'], z['B'], NAMES)  # as the page has it
  held, drawn = architecture.fixed(found, NAMES), np.asarray(z['B']) > 0.5
  np.testing.assert_array_equal(np.asarray(held['B']) > 0.5, drawn)
  np.testing.assert_array_equal(np.argmax(held['A'], -1)[drawn], np.argmax(z['A'], -1)[drawn])


@pytest.mark.parametrize('name', NAMES)
def test_the_effects_name_no_first_operation(name):
  """Which operation comes first changes nothing of any."""
  losses, counts = _cells(40, 0.2)
  turned = [NAMES[(i + NAMES.index(name)) % 4] for i in range(4)]
  order = [NAMES.index(other) for other in turned]
  of = dict(zip(turned, DOCS.effects(losses, counts[:, order], turned)))
  np.testing.assert_allclose([of[other] for other in NAMES], DOCS.effects(losses, counts, NAMES), atol=1e-9)
