"""What every test stands on: the flags of XLA that this jaxlib knows."""

import commands
from conftest import QUICK_TO_COMPILE, xla_flags, xla_knows


def test_an_unknown_flag_of_xla_is_known_as_one():
  assert not xla_knows('--xla_cpu_use_nothing_of_the_kind=false')
  assert xla_knows('--xla_force_host_platform_device_count=2')


def test_flags_of_xla_are_never_blanks_alone():
  """XLA takes blanks for a file's name, and ends the process."""
  assert xla_flags('', '') == xla_flags(' ') == ''
  assert xla_flags('', '--a=1') == '--a=1'
  assert xla_flags(' --a=1 --b=2', '--c=3') == '--a=1 --b=2 --c=3'
  assert commands.environment()['XLA_FLAGS'] == QUICK_TO_COMPILE
  found = commands.environment(XLA_FLAGS='--a=1')['XLA_FLAGS']
  assert found.split() == ['--a=1', *QUICK_TO_COMPILE.split()]
