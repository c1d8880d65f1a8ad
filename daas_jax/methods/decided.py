"""What a search has decided and what is chance: decided.json, and one plain sentence.

  {"sentence": "policy: Rotate found in both slots; architecture: 3 of 28 edges decided, the rest is
   chance", "level": 0.05, "tests": 452, "bound": 3.69,
   "policy": {"updates": 10000, "effective": 8.2, "alike": 225, "choices": [{"where": "slot 1",
     "options": ["Rotate", ...], "probability": [...], "z": [...], "decided": ["Rotate"],
     "slight": []}, ...]},
   "architecture": {"choice": "edge", "effective": 5.1, "alike": 7, ...}}

How it is told: `daas_jax.estimators.evidence`.
"""

import json
import os
from typing import Any

import numpy as np

from daas_jax.errors import BadInput
from daas_jax.estimators import evidence
from daas_jax.files import atomic, metrics as metrics_lib, storage
from daas_jax.methods import problem as problem_lib, registry
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies

FILE = 'decided.json'
_PARTS = ('policy', 'architecture')
_SHOWN = 8  # lines of what is decided


def of(state: Any, config: Any) -> dict[str, Any]:
  """What is decided of a search, as decided.json has it.

  Args:
    state: its `daas_jax.types.SearchState`, whose optimizers have kept their evidence.
    config: the search's.
  """
  parts = _parts(state, config)
  tests, beyond = evidence.bound([c for part in parts.values() for c in part['choices']])
  said = []
  for name, part in parts.items():
    part['choices'] = [_plain(evidence.decide(c, beyond)) for c in part['choices']]
    said.append(f'{name}: {_WORDS[name](part)}')
  return {'sentence': '; '.join(said), 'level': evidence.LEVEL, 'tests': tests,
          'bound': round(beyond, 2) if tests else None} | parts


def _parts(state, config):
  """{'policy', 'architecture'}, each where it is searched: their numbers, and the `Choice`s."""
  space, row = problem_lib.tuned_policy_space(config), policies.spaces()[registry.of(config).policy]
  architectures, parts = nets.of(config).space, {}
  if space and row.effective:
    kept, sums = _evidence(state.opt_gamma)
    effective, alike = row.effective(state.gamma, space)
    parts['policy'] = {'updates': kept, 'effective': effective, 'alike': alike,
                       'choices': row.choices(state.gamma, sums, space) if kept else []}
  if state.arch and architectures and architectures.probabilities:
    kept, sums = _evidence(state.opt_arch)
    p = architectures.probabilities(state.arch, config)
    parts['architecture'] = {
        'choice': architectures.choice, 'updates': kept,
        'effective': float(np.mean(evidence.effective(p))), 'alike': p.shape[-1], 'of': len(p),
        'choices': architectures.choices(state.arch, sums, config) if kept else []}
  return parts


def _evidence(opt_state):
  """(updates, block sums) in an optimizer's state; (None, None) of one that keeps none."""
  blocks = evidence.of_state(opt_state)
  return (None, None) if blocks is None else (int(blocks.updates), evidence.whole(blocks))


def _plain(verdict):
  out = {name: metrics_lib.plain(x) if isinstance(x, np.ndarray) else x
         for name, x in verdict._asdict().items()}
  return out | {name: list(out[name]) for name in ('options', 'decided', 'slight')}


# --- in words -------------------------------------------------------------------------------------


def _untold(part):
  """Why nothing can be told of a part; '' where something can."""
  if part['updates'] is None:
    return 'what is decided cannot be told, this method keeps no evidence'
  if part['updates'] < evidence.LEAST:
    n = part['updates']
    return f"nothing was found, {n} {'update is' if n == 1 else 'updates are'} too few to tell"
  return ''


def _policy_words(part):
  untold = _untold(part)
  if untold:
    return untold
  where: dict[str, list[str]] = {}
  for choice in part['choices']:
    for name in choice['decided']:
      where.setdefault(name, []).append(choice['where'])
  if not where:
    return 'nothing was found' + _slight_words(part['choices'])
  return _listed([f'{name} found{_places(places, len(part["choices"]))}'
                  for name, places in where.items()])


def _places(places, n):
  """' in both slots', ' in slot 1', ...; '' where there is one alone."""
  if n == 1:
    return ''
  if len(places) == n:
    return ' in both slots' if n == 2 else f' in all {n} slots'
  return f' in {_listed(places)}'


def _slight_words(choices):
  """What is beyond doubt and too small to matter."""
  found = [(z, name, p, len(c['options'])) for c in choices
           for name, z, p in zip(c['options'], c['z'], c['probability']) if name in c['slight']]
  if not found:
    return ''
  _, name, p, n = max(found)
  return (f' ({name} is preferred beyond chance, but its probability is {p:.3f} where all alike '
          f'have {1 / n:.3f})')


def _architecture_words(part):
  untold = _untold(part)
  if untold:
    return untold
  n, decided = part['of'], sum(bool(c['decided']) for c in part['choices'])
  things = f"{n} {part['choice']}{'' if n == 1 else 's'}"
  if not decided:
    return f'nothing was found, none of {things} is decided' + _slight_words(part['choices'])
  return f'{decided} of {things} decided' + (', the rest is chance' if decided < n else '')


_WORDS = dict(zip(_PARTS, (_policy_words, _architecture_words)))


def _listed(words):
  return ' and '.join(filter(None, [', '.join(words[:-1]), words[-1]]))


def lines(found: dict[str, Any]) -> list[str]:
  """What the summary says of it: the sentence, and the numbers that it stands on.

  Args:
    found: what `of` returns.
  """
  out = [found['sentence']] if found['sentence'] else []
  for name, of_what in (('policy', 'policies'), ('architecture', 'operations')):
    if name in found:
      part = found[name]
      thing = part.get('choice', '')
      each = f" {'an' if thing[0] in 'aeiou' else 'a'} {thing}" if thing else ''
      out.append(f"effective number of {of_what}{each}: {part['effective']:.2f} "
                 f"(all alike: {part['alike']})")
  sure = [row for row in rows(found) if row[-1] == 'decided']
  sure.sort(key=lambda row: -float(row[3]))
  out += [f'decided: {name}{", " * bool(where)}{where}, z {z}, probability {p}'
          for _, where, name, z, p, _ in sure[:_SHOWN]]
  out += [f'and {len(sure) - _SHOWN} more: {FILE}'] if sure[_SHOWN:] else []
  if found['tests']:
    out.append(f"decided is a z beyond {found['bound']:.2f}: {found['tests']} tests pass it by "
               f"chance with a probability of {found['level']:.0%} at most, all together")
  return out


def rows(found: dict[str, Any]) -> list[list[str]]:
  """[what, choice, option, z, probability, 'decided' or 'chance']: of every choice what is decided,
  or the option with most evidence.

  Args:
    found: what `of` or `load` returns.
  """
  out = []
  for part in _PARTS:
    for c in found.get(part, {}).get('choices', []):
      options = list(zip(c['options'], c['z'], c['probability']))
      decided = [row for row in options if row[0] in c['decided']]
      for name, z, p in decided or [max(options, key=lambda row: row[1])]:
        out.append([part, c['where'], name, f'{z:.1f}', f'{p:.3f}',
                    'decided' if decided else 'chance'])
  return out


def load(path: str) -> dict[str, Any]:
  """What decided.json holds.

  Raises:
    BadInput: it cannot be read, or holds something else.
  """
  try:
    found = storage.read_json(path)
    lines(found), rows(found)
    if isinstance(found['sentence'], str):
      return found
  except OSError as error:
    raise BadInput(f'{path} cannot be read ({error.strerror or error})') from None
  except (ValueError, KeyError, TypeError, AttributeError):
    pass
  raise BadInput(f'{path} is damaged: it does not hold what a search has decided')


def write(workdir: str, state: Any, config: Any) -> list[str]:
  """Writes decided.json; returns the first lines of the summary."""
  found = of(state, config)
  atomic.write(os.path.join(workdir, FILE), json.dumps(found, allow_nan=False) + '\n')
  return lines(found)
