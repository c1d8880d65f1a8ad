"""Counts the faults that the tests of this folder try, and says in the end whether anything was lost."""

import collections

import pytest

from faults import runs


@pytest.fixture
def fault(record_property):
  """`fault(name, count=1)`: so many faults of that kind were tried, and the check that nothing was lost has held.

  A property of the test's report, so that it reaches the summary from xdist's workers too.
  """
  return lambda name, count=1: record_property('fault', [name, count])


@pytest.fixture(scope='session')
def server(tmp_path_factory):
  """A `runs.Server`, one for all tests of a worker."""
  server = runs.Server(tmp_path_factory.mktemp('server'))
  yield server
  server.close()


@pytest.fixture(scope='session')
def straight_of(server, tmp_path_factory):
  """kind -> (workdir, `runs.result`) of a run to which nothing happened."""
  folder, done = tmp_path_factory.mktemp('straight'), {}

  def run(kind):
    if kind not in done:
      status, said = server.run(folder / kind, kind=kind)
      assert status == 0, said
      done[kind] = folder / kind, runs.result(folder / kind)
    return done[kind]

  return run


def _here(report):
  return 'tests/faults/' in report.nodeid or report.nodeid.startswith('faults/')


def pytest_terminal_summary(terminalreporter):
  stats = terminalreporter.stats
  failed = [r for kind in ('failed', 'error') for r in stats.get(kind, []) if _here(r)]
  ended = [r for kind in ('passed', 'failed') for r in stats.get(kind, []) if _here(r) and r.when == 'call']
  tried = collections.Counter()
  for kind, count in (value for r in ended for name, value in r.user_properties if name == 'fault'):
    tried[kind] += count
  if not ended and not failed:
    return
  terminalreporter.section('faults')
  for name, count in sorted(tried.items()):
    terminalreporter.write_line(f'{count:4} {name}')
  verdict = f'{len(failed)} tests failed' if failed else 'nothing lost'
  terminalreporter.write_line(f'faults: {tried.total()} tried, {verdict}')
