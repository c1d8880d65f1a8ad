"""What a table says of a few seeds: mean and deviation, and whether a paired difference could be
chance.

Two rows of a study share their seeds: the same seed gives both the same split of the images, the
same order of them and the same start of whatever is alike in both. So what a seed does to both
cancels in their difference, and rows are compared by the differences d_s = a_s - b_s, seed by seed,
never by their two means.

The test is the exact sign-flip permutation test. If a and b were two names of one thing, each d_s
would be as likely as -d_s; so all 2^n signs of the n differences are tried, and p is the share of
them whose mean is at least as far from zero as the one found. It supposes no normal distribution,
which nobody can check on five numbers, and is exact for every n. Its price: with n seeds no p is
below 2 / 2^n, 0.0625 for 5 and 0.125 for 4, however large the difference. The t-interval beside it
does suppose normal differences, and says how large the difference may be.
"""

import math

import numpy as np
from scipy import special

_ENUMERATED = 16  # seeds; 65,536 sign vectors
_DRAWN = 100_000  # sign vectors, where there are more seeds than that
_ROUNDING = 1e-9  # equal means must count as equal, however their sums were rounded


def mean_and_deviation(values):
  """(mean, standard deviation with n - 1) of n floats; None for what n = 0 or 1 does not have."""
  values = np.asarray(values, np.float64)
  mean = float(values.mean()) if len(values) else None
  return mean, float(values.std(ddof=1)) if len(values) > 1 else None


def sign_flip_p(differences):
  """Two-sided p of the sign-flip test of mean difference 0 (top of this file).

  Args:
    differences: n >= 1 finite floats.

  Returns:
    Float in (0, 1]: exact for n <= 16; beyond that from 100,000 signs of a fixed seed, the one
    found counted among them, which keeps the test valid.
  """
  d = np.asarray(differences, np.float64)
  if len(d) <= _ENUMERATED:
    signs = 1 - 2 * ((np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1)
  else:
    signs = np.random.default_rng(0).choice([-1, 1], (_DRAWN, len(d)))
    signs[0] = 1
  sums = np.abs(signs @ d)
  return float(np.mean(sums >= abs(d.sum()) - _ROUNDING * np.abs(d).sum()))


def t_interval(differences, level=0.95):
  """The t-interval of the mean of n differences: (low, high), or None where n < 2.

  Args:
    differences: n floats, taken as independent and normal.
    level: the interval's confidence, in (0, 1).
  """
  mean, deviation = mean_and_deviation(differences)
  if deviation is None:
    return None
  n = len(differences)
  half = float(special.stdtrit(n - 1, (1 + level) / 2)) * deviation / math.sqrt(n)
  return mean - half, mean + half


def holm(ps):
  """p of several tests, adjusted so that the chance of one false find among all is what p says.

  Args:
    ps: floats in (0, 1].

  Returns:
    list of floats in (0, 1], in the order of `ps` (Holm, 1979).
  """
  order = np.argsort(ps, kind='stable')
  out, least = [1.0] * len(ps), 0.0
  for rank, i in enumerate(order):
    least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
    out[i] = least
  return out


def paired(values, reference):
  """Compares two rows over the seeds that both have.

  Args:
    values, reference: {seed: float}.

  Returns:
    {'seeds', 'mean', 'low', 'high', 'p'}: number of pairs, mean of values - reference, its 95 %
    t-interval (None for one pair) and the sign-flip p; or None where no seed is in both.
  """
  seeds = sorted(values.keys() & reference.keys())
  if not seeds:
    return None
  differences = [values[s] - reference[s] for s in seeds]
  low, high = t_interval(differences) or (None, None)
  return {'seeds': len(seeds), 'mean': mean_and_deviation(differences)[0], 'low': low, 'high': high,
          'p': sign_flip_p(differences)}
