"""An architecture search with a known answer must find it: at least 4 of 5 seeds, on real images, by the real method.

In a file of its own: two workers share the suite a file at a time, and this is one of its longest tests.
"""

import numpy as np

import planted


def test_an_operation_that_outputs_noise_ends_last():
  """Lowest mean probability over the normal cell's 14 edges."""
  data, means = planted.quartered(planted.embedded()), {}
  def verdicts():
    for seed, state in enumerate(planted.searches(planted.noise_config(), data, range(5))):
      mean = means[seed] = planted.noise_probabilities(state)
      yield np.argmin(mean) == len(mean) - 1
  assert planted.four_of_five(verdicts()), means
