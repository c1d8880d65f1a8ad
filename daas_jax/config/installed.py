"""How this package is installed, as a checkout or as a wheel, and what follows from it: where its
configs lie, and what to tell pip."""

import os
import re
import shlex

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _is_checkout() -> bool:
  """A wheel has the configs inside the package (setup.py), a checkout beside it."""
  return not os.path.isdir(os.path.join(_PACKAGE, 'configs'))


def _home() -> str:
  return os.path.dirname(_PACKAGE) if _is_checkout() else _PACKAGE


def parent() -> str:
  """The folder that the package lies in: what a process that is started has to have in its path."""
  return os.path.dirname(_PACKAGE)


def holds(path: str) -> bool:
  """Whether an absolute path is of the checkout, or of the installed package."""
  return os.path.join(path, '').startswith(os.path.join(_home(), ''))


def configs() -> str:
  """The folder of the configs that come with the package."""
  return os.path.join(_home(), 'configs')


def config_names() -> list[str]:
  """The names of those configs: 'quickstart', 'studies/mix'."""
  paths = (os.path.relpath(os.path.join(folder, name), configs())
           for folder, _, names in os.walk(configs()) for name in names if name.endswith('.py'))
  return sorted(path.removesuffix('.py').replace(os.sep, '/') for path in paths)


def config_name(asked: str) -> str:
  """The name in a path that a checkout has: 'quickstart' of 'configs/quickstart.py'."""
  return re.sub(r'^(\./)?configs/|\.py$', '', asked)


def extra(name: str) -> str:
  """The shell line that installs, from the current folder, what an extra of setup.py names."""
  if not _is_checkout():  # pip leaves the package that is there, and adds what the extra needs
    return f"pip install {shlex.quote(f'daas_jax[{name}]')}"
  home = '.' if os.path.samefile(os.curdir, _home()) else _home()
  return f"pip install -e {shlex.quote(f'{home}[{name}]')}"
