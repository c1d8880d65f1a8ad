"""The auxiliary head's pooling; the head as a whole is held against a reference in test_derived.py."""

import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets.cells import auxiliary


@pytest.mark.parametrize('size', [1, 2, 4, 5, 6, 9, 10, 11, 16])
def test_auxiliary_pooling_covers_any_size(size):
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, size, 8, 3)))
  y = auxiliary.pool_2x2(x)
  assert y.shape == (2, 2, 2, 3)
  window = min(size, 5) if size <= 10 else -(-size // 2)
  np.testing.assert_allclose(y[:, 0, 0], x[:, :window, :5].mean((1, 2)), atol=1e-6)
  np.testing.assert_allclose(y[:, 1, 1], x[:, size - window:, 3:].mean((1, 2)), atol=1e-6)
