"""Differentiable joint search of neural architectures and augmentation policies (DAAS), in JAX.

Every name here is imported when it is first used: `import daas_jax as dx` itself imports nothing,
JAX included.

Search and train on images of your own
  search, train                              (images, labels, ...) -> Found, Trained
  load                                       a workdir -> Found or Trained
  Found, Trained, Evaluation                 policy, genotype, summary; predict, evaluate

Use what a search found
  load_policy, load_genotype                 a policy, a pair of cells, from their files
  named_genotypes                            the published pairs of cells, which load_genotype knows
  Policy                                     a policy as an object: for JAX, for PIL images, to save
  DerivedNet                                 the network of a pair of cells, a linen module

Search with functions of your own, no config and no workdir
  Problem, Architectures, Batch              what a method searches over, made of plain functions
  SearchState, Method                        what it goes on with: init(key) and step(state, batch)
  daas, ddas, darts, joint_faa, diffautoml, faster_aa     (problem, settings) -> Method
  DaasSettings, DdasSettings, DartsSettings, JointFaaSettings, DiffAutoMLSettings, FasterAASettings
  CategoricalSpace, categorical_policies, categorical_augment     DAAS's policies
  CandidateSpace, Candidate, candidate_policies, candidate_augment   DDAS's
  make_optimizer                             an optimizer by its name

Search by a config, on a network or by a method of your own
  search_config, train_config, gradcheck_config, load_config, check_config, Key
  register_network                           a linen module as a network of searches and trainings
  register_method, MethodRow                 a method
  register_space, PolicySpace                a space of policies
  all_methods, all_networks, all_spaces, all_operations     what there is

Data
  from_arrays, Dataset                       arrays of yours as a data set

Gradients
  estimators                                 every estimator, and the exact gradients that they are
  held against

Errors
  BadInput, Diverged, Terminated, Interrupted

The commands are `python -m daas_jax.search`, `.train`, `.predict`, `.evaluate`, `.export`,
`.study`, `.report`, `.gradcheck`, `.benchmark` and `.prepare`.
"""

import importlib
from typing import Any

__version__ = '0.1.0'

_NAMES = {
    'Architectures': 'types',
    'Batch': 'types',
    'Method': 'types',
    'Problem': 'types',
    'SearchState': 'types',
    'BadInput': 'errors',
    'Diverged': 'errors',
    'Interrupted': 'errors',
    'Terminated': 'errors',
    'Dataset': 'data.dataset',
    'from_arrays': 'data.given',
    'CandidateSpace': 'policies.candidates:Space',
    'Candidate': 'policies.candidates',
    'candidate_policies': 'policies.total:policies',
    'candidate_augment': 'policies.total:augment',
    'CategoricalSpace': 'policies.categorical:Space',
    'categorical_policies': 'policies.categorical:policies',
    'categorical_augment': 'policies.categorical:augment',
    'DerivedNet': 'nets.cells.derived',
    'Key': 'config.key',
    'MethodRow': 'methods.registry:Row',
    'Policy': 'policies.policy',
    'PolicySpace': 'policies.registry',
    'check_config': 'config.schema:check',
    'load_config': 'config.file:load',
    'gradcheck_config': 'config.schema',
    'search_config': 'config.schema',
    'train_config': 'config.schema',
    'daas': 'methods.daas:make',
    'DaasSettings': 'methods.daas:Settings',
    'ddas': 'methods.ddas:make',
    'DdasSettings': 'methods.ddas:Settings',
    'darts': 'methods.amended_darts:make',
    'DartsSettings': 'methods.amended_darts:Settings',
    'joint_faa': 'methods.joint_faa:make',
    'JointFaaSettings': 'methods.joint_faa:Settings',
    'diffautoml': 'methods.diffautoml:make',
    'DiffAutoMLSettings': 'methods.diffautoml:Settings',
    'faster_aa': 'methods.faster_aa:make',
    'FasterAASettings': 'methods.faster_aa:Settings',
    'estimators': 'estimators:',
    'Evaluation': 'library.trained',
    'Found': 'library.found',
    'Trained': 'library.trained',
    'load': 'library.load',
    'search': 'search:',
    'train': 'train:',
    'load_genotype': 'nets.cells.genotype:load',
    'load_policy': 'policies.found',
    'named_genotypes': 'nets.cells.named',
    'make_optimizer': 'methods.optimizers:make',
    'all_methods': 'methods.registry:methods',
    'all_networks': 'nets.registry:networks',
    'all_operations': 'augment.ops:OPS',
    'all_spaces': 'policies.registry:spaces',
    'register_method': 'methods.registry:register',
    'register_network': 'nets.linen',
    'register_space': 'policies.registry:register',
}
"""{public name: 'module', or 'module:name' where it is called otherwise there; 'module:' is the
module itself}."""

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
  if name not in _NAMES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module, _, attribute = _NAMES[name].partition(':')
  found = importlib.import_module(f'daas_jax.{module}')
  return found if _NAMES[name].endswith(':') else getattr(found, attribute or name)


def __dir__() -> list[str]:
  return [*globals(), *__all__]
