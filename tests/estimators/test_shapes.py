"""Wrong shapes are refused at an estimator's door: broadcast, they would give wrong numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.estimators import (
  architecture,
  control,
  ddas,
  dsnas,
  exact,
  gumbel,
  passes,
  relax,
  score,
  summary,
  unrolled,
  wgan,
)

KEY = jax.random.key(0)
NEVER = lambda *args: pytest.fail('called')  # what is refused at the door runs nothing
ONES = lambda *shape: np.ones(shape, np.float32)
TABLE = passes.Passes(ONES(3), ONES(3, 1), np.zeros(3, np.int32), ONES(3))
EQ_13 = lambda policies, s, b: unrolled.policy_gradient(NEVER, ONES(2), policies, s, b, 0.1)

WRONG = {
    's of one row': lambda: EQ_13(ONES(3), ONES(3), ONES(3)),
    'a baseline a row': lambda: EQ_13(ONES(3, 4), ONES(3, 4), ONES(3, 1)),
    'policies of another number': lambda: EQ_13(ONES(3, 5), ONES(3, 4), ONES(3, 4)),
    'samples of another number': lambda: score.score_gradient(NEVER, ONES(2), ONES(4), ONES(3)),
    'alignments of one row': lambda: score.leave_one_out(ONES(3)),
    'features of another length':
        lambda: control.update(control.init(5), ONES(1, 3, 4), ONES(1, 3)),
    'a as a column': lambda: ddas.gradient(NEVER, ONES(2), ONES(3), ONES(3, 1), 0.1),
    'a gradient too few': lambda: ddas.expected_gradient(ONES(3), {'w': ONES(2, 5)}),
    'gates as a column': lambda: dsnas.gradient(ONES(3, 4), np.zeros(3, int), ONES(3, 1)),
    'costs of other blocks': lambda: dsnas.expected_cost(ONES(3, 4), ONES(4)),
    'soft of another shape': lambda: gumbel.straight_through(ONES(3), ONES(3, 1)),
    'logits of two variables': lambda: relax.conditional(KEY, ONES(2, 3), 0),
    'eps an element': lambda: wgan.interpolate(ONES(2, 5), ONES(2, 5), ONES(2, 5)),
    'weights an edge too many': lambda: architecture.mixture(jnp.ones((3, 2)), jnp.ones(4), 'all'),
    'a probability too few': lambda: exact.expected_gradient(NEVER, ONES(2), ONES(3), ONES(4)),
    'a weight too few': lambda: passes.run(NEVER, ONES(2), TABLE._replace(weight=ONES(2))),
    'another gradient': lambda: summary.summarise(ONES(4, 3), ONES(2)),
}


@pytest.mark.parametrize('call', WRONG.values(), ids=WRONG)
def test_wrong_shapes_are_refused(call):
  with pytest.raises(AssertionError):
    call()
