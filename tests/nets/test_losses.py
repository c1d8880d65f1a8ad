"""The losses of a classifier against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets import losses


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_with_smoothed_labels(smoothing):
  logits, labels = jnp.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]), jnp.array([1, 2])
  log_p = np.asarray(jax.nn.log_softmax(logits))
  by_hand = -np.mean([(1 - smoothing) * row[l] + smoothing * row.mean() for row, l in zip(log_p, np.asarray(labels))])
  assert float(losses.cross_entropy(logits, labels, smoothing)) == pytest.approx(by_hand, rel=1e-6)
