"""What draws of an estimator are worth against the exact gradient."""

from typing import NamedTuple

import chex
import numpy as np


class Summary(NamedTuple):
  """Plain floats; see `summarise`."""
  bias: float
  bias_error: float
  variance: float
  cosine_mean: float
  cosine_p05: float
  cosine_p95: float


def summarise(draws: chex.Array, exact: chex.Array) -> Summary:
  """Bias, variance and cosines of an estimator, in units of the exact gradient.

  Args:
    draws: [n, d], n >= 2 independent estimates.
    exact: [d], not zero.

  Returns:
    `Summary`:
      bias: |mean of the draws - exact| / |exact|, the part that the noise of a finite mean explains
        taken out in squares; 0 where it explains all of it.
      bias_error: the root mean square of that noise, sqrt(variance / n): what a bias must exceed to
      be seen. variance: E|draw - mean|^2 / |exact|^2.
      cosine_mean, cosine_p05, cosine_p95: of the cosine of one draw with the exact gradient, its
        mean, 5th and 95th percentile; a draw that is zero counts as 0.
  """
  draws, exact = np.asarray(draws, np.float64), np.asarray(exact, np.float64)
  chex.assert_shape(draws, (None, *exact.shape))
  chex.assert_rank(exact, 1)
  if not np.any(exact):
    raise ValueError('the exact gradient is zero: there is nothing to compare with')
  square, mean = exact @ exact, draws.mean(0)
  variance = float(draws.var(0, ddof=1).sum() / square)
  noise = variance / len(draws)
  bias = float(np.sqrt(max(float((mean - exact) @ (mean - exact) / square) - noise, 0.0)))
  norms = np.linalg.norm(draws, axis=1) * np.sqrt(square)
  cosines = np.divide(draws @ exact, norms, out=np.zeros(len(draws)), where=norms > 0)
  return Summary(bias, float(np.sqrt(noise)), variance, float(cosines.mean()),
                 *(float(q) for q in np.percentile(cosines, (5, 95))))


def z_scores(draws: chex.Array, exact: chex.Array) -> np.ndarray:
  """(mean - exact) / standard error, coordinate by coordinate: [d]; 0 where a coordinate is exact
  in all draws.

  An unbiased estimator keeps all of them within about 5 for some tens of coordinates (two-sided
  6e-7 each).
  """
  draws, exact = np.asarray(draws, np.float64), np.asarray(exact, np.float64)
  chex.assert_shape(draws, (None, *exact.shape))
  chex.assert_rank(exact, 1)
  error = draws.std(0, ddof=1) / np.sqrt(len(draws))
  off = draws.mean(0) - exact
  scale = np.finfo(np.float64).eps * 1e3 * max(np.abs(exact).max(), 1e-300)
  return np.where(np.abs(off) <= scale, 0.0, off / np.maximum(error, 1e-300))
