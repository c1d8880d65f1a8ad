"""A study as data: searches and trainings, each for every seed, and the rows of the table that
averages them.

A study file defines get_config(variant), which returns a dict of

  title      one line: what is compared, and the table of the paper that does
  seeds      whole numbers; every search and training below is run once for each
  search     the config file of the searches, relative to the study file ('../x.py:smoke'), or the
             name of one of the package ('daas_cifar10')
  train      the same for the trainings
  searches   {name: {'set': {key: value},       what differs from the config file, if anything
                     'config': FILE,            instead of `search`, if it is another
                     'genotype': NAME,          the search whose architecture is held fixed, if
                                                there is one
                     'policy': NAME}}           for a method that is given a policy: the search
                     whose policy it is (the same where both are given), or a fixed one
  trainings  {name: {'set', 'config': as above,
                     'genotype': NAME,          the search whose architecture is trained, or
                                                'random': one drawn by the seed; left out where the
                                                network is none of cells
                     'draw': n,                 which of the random ones; 0 where it is left out
                     'like': NAME,              the search whose architecture has as many weights as
                                                the random one, at whose cost it comes; left out
                                                where any may be drawn
                     'of': NAME,                the search whose space it is drawn from; left out
                                                for the paper's
                     'epoch': n,                the architecture is that of the search's n-th epoch;
                                                its last one where it is left out
                     'policy': NAME,            the search whose policy is used, or a fixed one
                                                ('standard', 'trivial_augment', ...; see
                                                `daas_jax.policies.baselines`)
                     'shift': n}}               the policy is that of the n-th next seed; 0 where it
                     is left out
  rows       {label: (training, ...)}           a row's value at a seed is the mean over these
                                                trainings; a tuple of trainings in the place of one
                                                is that with the highest validation accuracy of
                                                them, at the cost of all; 'searches/NAME' is the
                                                network that a search ends with, where its method
                                                leaves one ready to use
  reference  label of the row that the others are held against, seed by seed

and, where it is of use,

  references   {label: label}                   rows with a reference of their own
  comparisons  ((label, label), ...)            more differences, the first row's minus the second's
  settings     {name: {key: value}}             every training is done under each, and the table has
                                                the rows of all (`daas_jax.study.settings`)
"""

import json
import os
from typing import Any, NamedTuple

import ml_collections

from daas_jax.config import file as config_file, installed, schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.methods import registry
from daas_jax.policies import baselines
from daas_jax.study import check, settings as settings_lib

_DRAWS = 2**32  # between two random architectures of a seed: as many as there are seeds


class Run(NamedTuple):
  """One search or training of a study.

  Attributes:
    kind: 'search' or 'train'.
    name: its name in the study, without the seed.
    seed: its seed.
    config: path of its config file, with the variant after a colon.
    set: {key: value}, what differs from that file; holds 'seed'.
    genotype, policy: folders of the searches they come from, relative to the study's, or words of
      the command ('random:3', 'random_like:3', 'standard'), or None.
    like: the folder of the search that a random architecture has its weights or its space from, or
      None.
    epoch: of the search that the genotype comes from, or None: the last one.
  """
  kind: str
  name: str
  seed: int
  config: str
  set: dict
  genotype: Any = None
  policy: Any = None
  epoch: Any = None
  like: Any = None

  @property
  def folder(self):
    """The run's workdir, relative to the study's: 'searches/joint-0'."""
    return f"{'searches' if self.kind == 'search' else 'trainings'}/{self.name}-{self.seed}"

  @property
  def needs(self):
    """Folders of the searches that must be over before."""
    return tuple(sorted({x for x in (self.genotype, self.policy, self.like) if x and '/' in x}))


class Study(NamedTuple):
  """A checked study.

  Attributes:
    title: one line.
    seeds: tuple of ints.
    runs: tuple of `Run`, the order in which they are begun: seed by seed, searches first.
    rows: {label: (training name, ...)}.
    references: {label: label}, of every row that is held against another.
    parts: {label: title of the part of the table that it is in}; {} where there is one part.
    comparisons: tuple of (label, label).
    text: JSON of all this and of every config in full: what config.json of the study's folder
      holds.
  """
  title: str
  seeds: tuple
  runs: tuple
  rows: dict
  references: dict
  text: str
  parts: dict
  comparisons: tuple


def bases(variant, seeds, small=5, smoke=2):
  """The part of a study that its variants share.

  Args:
    variant: '' (the paper's configs on CIFAR-10), 'small' (embedded images, about an hour on 2 CPU
      cores) or 'smoke' (a few steps).
    seeds, small, smoke: number of seeds of each.

  Returns:
    {'seeds', 'search', 'train'}, to be completed by the study.

  Raises:
    ValueError: for another variant.
  """
  if variant not in ('', 'small', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'small' or 'smoke' (FILE.py:small)")
  if not variant:
    return {'seeds': tuple(range(seeds)), 'search': 'daas_cifar10', 'train': 'train_cifar10'}
  end, seeds = (':smoke', smoke) if variant == 'smoke' else ('', small)
  return {'seeds': tuple(range(seeds)), 'search': f'daas_small{end}', 'train': f'train_small{end}'}


def load(argument):
  """Reads, expands and checks a study file.

  Args:
    argument: FILE.py or FILE.py:VARIANT; NAME of one of the package.

  Returns:
    `Study`.

  Raises:
    BadInput: no such file, or something in it that cannot be run; one line that says what.
  """
  path = config_file.find(argument, what='study', example='studies/vs_random')[0]
  data = config_file.run(argument)
  if not isinstance(data, dict):
    raise BadInput(f'{path} is no study: its get_config() returns a {type(data).__name__}, not a '
                   'dict as those of studies/ (a config of a single run is for daas_jax.search or '
                   'daas_jax.train)')
  try:
    return _study(data, os.path.dirname(os.path.abspath(path)))
  except BadInput as error:
    raise BadInput(f'{argument}: {error}') from error


# --- expansion ---


def _config_path(asked, folder):
  path, *variant = config_file.find(asked, folder)
  path = os.path.normpath(path)
  return ':'.join([path, *variant])


def resolved(run, loaded):
  """The checked ConfigDict of a run: its file's, with what the run sets.

  Args:
    run: a `Run`.
    loaded: {config path: ConfigDict}, what was loaded before; grows.

  Raises:
    BadInput: an unknown key, or a value out of its range.
  """
  schema = config_lib.every(run.kind)
  if run.config not in loaded:
    loaded[run.config] = config_file.run(run.config)
    if not isinstance(loaded[run.config], ml_collections.ConfigDict):
      raise BadInput(f'get_config() of {run.config} must return the ConfigDict of a {run.kind}')
    config_lib.check(loaded[run.config], run.kind)
  config = ml_collections.ConfigDict(loaded[run.config].to_dict())
  for key, value in run.set.items():
    if key not in schema:
      raise BadInput(config_lib.unknown_key(key, schema))
    *groups, leaf = key.split('.')
    node = config
    for group in groups:
      node = node[group]
    with node.ignore_type():
      node[leaf] = value
  config_lib.check(config, run.kind)
  return config


def _searches(data, folder, seed):
  for name, given in data.get('searches', {}).items():
    changes = dict(given.get('set', {})) | {'seed': seed}
    genotype, policy = given.get('genotype'), given.get('policy')
    if genotype:
      changes['network.genotype'] = 'searched'
    if policy:
      changes['policy.name'] = policy if policy in baselines.BASELINES else 'searched'
    of = lambda name: f'searches/{name}-{seed}' if name and (
        name not in baselines.BASELINES) else None
    yield Run('search', name, seed, _config_path(given.get('config', data['search']), folder),
              changes, of(genotype), of(policy))


def _trainings(data, folder, i):
  seeds = data['seeds']
  seed = seeds[i]
  for name, given in data.get('trainings', {}).items():
    genotype, policy = given.get('genotype'), given['policy']
    beside = given.get('like') or given.get('of')
    like = f'searches/{beside}-{seed}' if beside else None
    if genotype == check.RANDOM:
      word = 'random_like' if given.get('like') else 'random'
      genotype = f"{word}:{seed + _DRAWS * given.get('draw', 0)}"
    elif genotype:
      genotype = f'searches/{genotype}-{seed}'
    if policy not in baselines.BASELINES:
      policy = f"searches/{policy}-{seeds[(i + given.get('shift', 0)) % len(seeds)]}"
    yield Run('train', name, seed, _config_path(given.get('config') or data['train'], folder),
              dict(given.get('set', {})) | {'seed': seed}, genotype, policy, given.get('epoch'),
              like)


def _study(data, folder):
  check.shape(data)
  given, (data, parts) = data, settings_lib.unfold(data)
  runs = []
  for i, seed in enumerate(data['seeds']):
    runs += [*_searches(data, folder, seed), *_trainings(data, folder, i)]
  loaded = {}
  _check_configs(data, [(run, resolved(run, loaded)) for run in runs])
  references = {
      label: data.get('references', {}).get(label, data['reference']) for label in data['rows']
  }
  references = {label: other for label, other in references.items() if label != other}
  rows = {label: tuple(names) for label, names in data['rows'].items()}
  return Study(data['title'], tuple(data['seeds']), tuple(runs), rows, references,
               _text(given, folder, runs, loaded), parts,
               tuple(tuple(pair) for pair in data.get('comparisons', ())))


def _check_configs(data, runs):
  """What the links of a study ask of the configs; runs: [(`Run`, its config)]."""
  trainings, searches = ([pair for pair in runs if pair[0].kind == kind]
                         for kind in ('train', 'search'))
  check.chosen_by_validation(data['rows'], {
      *(run.name for run, config in trainings if not config.data.val_fraction),
      *(check.OF_SEARCH + run.name for run, _ in searches)})
  check.ready(data['rows'], {
      run.name for run, config in searches if not registry.of(config).exports})
  check.policies_found(
      {f'{kind}[{name!r}]': run for kind in ('searches', 'trainings')
       for name, run in data.get(kind, {}).items()},
      {run.name for run, config in searches
       if not registry.tunes_policy(config_lib.flatten(config))})


def _text(data, folder, runs, loaded):
  """Files are named from the study's file on, configs of the package in a study that is none of it
  from their own folder on: it may be gone on with from another checkout, or another machine."""
  foreign = not installed.holds(folder)
  short = lambda path: os.path.relpath(
      path, installed.configs() if foreign and installed.holds(path) else folder)
  described = {
      run.folder: {
          'config': short(run.config),
          'set': run.set,
          'genotype': run.genotype,
          'policy': run.policy
      } | {
          key: value for key, value in (('epoch', run.epoch), ('like', run.like))
          if value is not None
      } for run in runs
  }
  content = {
      'kind': 'study',
      'title': data['title'],
      'rows': data['rows'],
      'reference': data['reference'],
      'references': data.get('references', {}),
      **{key: data[key] for key in ('comparisons', 'settings') if key in data},
      'runs': described,
      'configs': {
          short(path): config.to_dict() for path, config in loaded.items()
      }
  }
  return json.dumps(content, indent=1, sort_keys=True, default=list) + '\n'
