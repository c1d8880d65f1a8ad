"""Differentiable joint search of neural architectures and augmentation policies (DAAS), in JAX.

`load_policy(FILE)` and `load_genotype(FILE)` make what a search found usable in anyone's own training;
`load(WORKDIR)` gives the trained network that a DiffAutoML search ended with.
"""


def load_policy(path, smoothing=1):
  """A found policy as an augmentation: (key, images [B, H, W, C], progress=1.0) -> images, usable under jit.

  See `daas_jax.policies.found.load_policy`.

  Raises:
    daas_jax.errors.BadInput: if the file is not a policy file, or smoothing not an odd number from 1 on.
  """
  from daas_jax.policies import found  # not at the top: `import daas_jax` should not import JAX
  return found.load_policy(path, smoothing)


def load(workdir):
  """The network that a DiffAutoML search ended with, ready to use: (apply, params, class_names).

  See `daas_jax.methods.export.load`.

  Raises:
    daas_jax.errors.BadInput: if the folder holds no such network.
  """
  from daas_jax.methods import export
  return export.load(workdir)


def load_genotype(path):
  """A found pair of cells as a `daas_jax.nets.cells.genotype.Genotype`, which `daas_jax.nets.cells.derived.DerivedNet` takes.

  Raises:
    daas_jax.errors.BadInput: if the file is not a genotype file.
  """
  from daas_jax.nets.cells import genotype
  return genotype.load(path)
