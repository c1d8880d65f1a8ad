"""A flax nnx module as a network of searches and trainings, by its functional split.

`nnx.split` takes a module apart into a graph and a state; here the state's `nnx.Param` are
'params', and every other variable that is no random stream ('batch_stats', say) is kept beside
them. `module.train()` and `module.eval()` are called before the split, so that dropout and
normalisations know which of the two they are in.
"""

from typing import Any

from flax import nnx
import jax

PARAMS, STATE = 'params', 'state'
# filters of any number have no type that a checker follows
_split: Any = nnx.split
_reseed: Any = nnx.reseed


class FromNnx:
  """An nnx module with the call of a linen one, as `daas_jax.nets.linen` takes it.

  Args:
    module: the nnx module: its weights are those that a run starts from, whatever the seed.
  """

  def __init__(self, module: nnx.Module):
    module.train()
    self._train = _split(module, nnx.Param, nnx.RngState, ...)
    module.eval()
    self._eval = _split(module, nnx.Param, nnx.RngState, ...)
    module.train()

  def __call__(self, images: Any, train: bool) -> None:
    """Never called: it says which arguments `apply` takes."""

  def init(self, key: Any, images: jax.Array, train: bool = False) -> dict[str, Any]:
    """{'params': ..., 'state': ...} of the module as it was given, nested dicts of arrays; without
    'state' where it keeps nothing besides its weights."""
    del key, images, train
    _, params, _, rest = self._train
    rest = _named(nnx.to_pure_dict(rest))
    return {PARAMS: _named(nnx.to_pure_dict(params))} | ({STATE: rest} if rest else {})

  def apply(self, variables: dict[str, Any], images: jax.Array, train: bool = False,
            mutable: Any = False, rngs: dict[str, jax.Array] | None = None) -> Any:
    """The module's outputs for images [B, H, W, C].

    Args:
      variables: as `init` gives them.
      images: normalised floats.
      train: whether it trains.
      mutable: as flax takes it: where it is a list, what the module has written is returned too.
      rngs: {'dropout': key} for its random streams; None: none draws.

    Returns:
      outputs, or (outputs, {'state': ...}) where something is mutable.
    """
    graph, params, streams, rest = self._train if train else self._eval
    params, rest = (nnx.clone(part) for part in (params, rest))
    _replace(params, variables[PARAMS])
    if STATE in variables:
      _replace(rest, variables[STATE])
    module = nnx.merge(graph, params, nnx.clone(streams), rest)
    if rngs:
      _reseed(module, **{name: rngs['dropout'] for name in _streams(streams)})
    out = module(images)
    if mutable is False:
      return out
    _, _, _, changed = _split(module, nnx.Param, nnx.RngState, ...)
    changed = _named(nnx.to_pure_dict(changed))
    return out, ({STATE: changed} if changed else {})


def _named(tree):
  """Nested dicts with names for keys: places in an nnx list are numbers, which no file can hold."""
  return {str(name): _named(x) if isinstance(x, dict) else x for name, x in tree.items()}


def _replace(state, named):
  """Puts the arrays of `_named` into a state."""
  def like(old, new):
    return {name: like(x, new[str(name)]) if isinstance(x, dict) else new[str(name)]
            for name, x in old.items()}

  nnx.replace_by_pure_dict(state, like(nnx.to_pure_dict(state), named))


def _streams(state):
  """Names of the random streams of a module's state."""
  return {leaf.tag for _, leaf in nnx.to_flat_state(state) if hasattr(leaf, 'tag')}
