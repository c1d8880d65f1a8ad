"""Tables and figure from rows."""

from daas_jax.gradcheck import report

FIELDS = dict(bias=0.5, bias_error=0.1, variance=2.0, cosine_mean=0.4, cosine_p05=-0.1, cosine_p95=0.8)


def _rows():
  return [{'estimator': name, 'group': group, **FIELDS, 'passes': passes, 'seconds': 0.25}
          for name, passes in (('exact', 50), ('eq13', 6), ('past_eq13', 0)) for group in ('pi', 'p', 'delta', 'all')]


def test_a_line_an_estimator():
  lines = report.policy_table(_rows()).splitlines()
  assert [line.split()[0] for line in lines] == ['estimator', 'exact', 'eq13', 'past_eq13']
  assert len({len(line) for line in lines}) == 1
  assert lines[2].split()[-1] == '0.0667' and lines[3].split()[-1] == '-'


def test_the_legend_explains_the_rows_that_are_there():
  assert [line.split()[0] for line in report.legend(_rows()).splitlines()] == ['eq13', 'past_eq13']


def test_the_figure_is_written_with_and_without_architectures(tmp_path):
  assert report.can_draw()
  arch_rows = [row | {'group': 'alpha'} for row in _rows() if row['group'] == 'all']
  for name, extra in (('a.png', {}), ('b.png', {'small': arch_rows, 'large': arch_rows})):
    report.figure(tmp_path / name, _rows(), extra)
    assert (tmp_path / name).read_bytes()[:4] == b'\x89PNG'
