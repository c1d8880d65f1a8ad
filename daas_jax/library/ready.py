"""The network that a search ended with, with the face of a trained one."""

from daas_jax.library import trained
from daas_jax.methods import export


def of_search(workdir: str, fit: str = 'crop') -> trained.Trained:
  """The network of a search whose method keeps it.

  Args:
    workdir: of the search.
    fit: its data.fit.

  Raises:
    BadInput: it holds no such network, or a damaged one.
  """
  kept = export.load(workdir)
  return trained.Trained(kept.apply, kept.params, kept.class_names, kept.image_shape, fit,
                         workdir, trained.results_of(workdir))
