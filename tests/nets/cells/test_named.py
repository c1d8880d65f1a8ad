"""Published cells: the sizes of their networks are those that their papers say, and every door knows their names."""

import jax
import jax.numpy as jnp
import pytest

import daas_jax as dx
from daas_jax.errors import BadInput
from daas_jax.nets import count
from daas_jax.nets.cells import architecture, formats, genotype as gt, named, space
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, DARTS_PRIMITIVES
from daas_jax.search import catalogue

NAMES = ('darts_v1', 'darts_v2', 'pc_darts_cifar', 'pc_darts_imagenet', 'gdas', 'p_darts')
CIFAR = {'num_classes': 10, 'layers': 20, 'channels': 36}
IMAGENET = {'num_classes': 1000, 'layers': 14, 'channels': 48, 'stem': 'imagenet'}


def _millions(name, settings):
  """Parameters without the auxiliary head, in millions."""
  net = dx.DerivedNet(dx.named_genotypes()[name], **settings)
  shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False))
  return count.parameters(shapes['params']) / 1e6


@pytest.mark.parametrize('name, settings, published, digits', [
    # what the authors' own trainings print, to the last digit
    ('darts_v2', CIFAR, 3.349342, 6), ('pc_darts_cifar', CIFAR, 3.634678, 6), ('p_darts', CIFAR, 3.433798, 6),
    # what the papers' tables round to
    ('gdas', CIFAR, 3.4, 1), ('darts_v2', IMAGENET, 4.7, 1), ('pc_darts_imagenet', IMAGENET, 5.3, 1),
    ('p_darts', IMAGENET, 4.9, 1), ('pc_darts_cifar', IMAGENET, 5.3, 1)])
def test_sizes_are_the_published_ones(name, settings, published, digits):
  assert round(_millions(name, settings), digits) == published


def test_the_first_cells_of_darts_have_the_size_that_their_shapes_say():
  """DARTS_V1 differs from DARTS_V2 in one cell of each kind: no paper prints its size to a digit."""
  v1, v2 = (dx.named_genotypes()[name] for name in ('darts_v1', 'darts_v2'))
  names = lambda g: sorted(name for pairs in (g.normal, g.reduce) for name, _ in pairs)
  assert names(v1).count('sep_conv_3x3') == names(v2).count('sep_conv_3x3') == 5
  # A dilated convolution in each of the 18 normal cells, 6 of each width: depthwise, pointwise, normalisation.
  widths = [36] * 6 + [72] * 6 + [144] * 6
  more = sum(9 * c + c * c + 2 * c for c in widths)
  assert round((_millions('darts_v2', CIFAR) - _millions('darts_v1', CIFAR)) * 1e6) == more


def test_there_are_six_and_all_are_whole():
  found = dx.named_genotypes()
  assert tuple(found) == NAMES == tuple(named.about())
  for name, g in found.items():
    assert g == gt.canonical(g) and g.primitives == DAAS_PRIMITIVES, name
    assert formats.from_text(formats.to_text(g, 'darts')) == g
  assert len(set(found.values())) == 6


@pytest.mark.parametrize('name', NAMES)
def test_every_door_knows_the_name(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  g = dx.named_genotypes()[name]
  assert dx.load_genotype(name) == space.find(name, None, None) == g
  held = architecture.fixed(space.SPACE.find(name, None, None), DAAS_PRIMITIVES)  # network.genotype=NAME
  assert held['B'].sum() == 16
  assert f'  {name} ' in catalogue.text()


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  other = gt.random_genotype(1, DAAS_PRIMITIVES)
  (tmp_path / 'darts_v2').mkdir()  # a folder is none
  assert dx.load_genotype('darts_v2') == dx.named_genotypes()['darts_v2']
  (tmp_path / 'darts_v2').rmdir()
  gt.save('darts_v2', other)
  assert dx.load_genotype('darts_v2') == space.find('darts_v2', None, None) == other


def test_a_name_that_is_none_is_one_line(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(BadInput, match="'darts_v3' is neither a file nor one of .* did you mean 'darts_v"):
    space.find('darts_v3', None, None)
  with pytest.raises(BadInput, match='the name of a known one'):
    dx.load_genotype('darts_v3')


def test_the_candidates_are_those_asked_for():
  assert gt.load('darts_v2', DARTS_PRIMITIVES).primitives == DARTS_PRIMITIVES
  with pytest.raises(BadInput, match='not one to choose'):
    gt.load('darts_v2', ('skip_connect', 'sep_conv_3x3'))


def test_a_training_takes_a_file_that_darts_printed(tmp_path):
  path = tmp_path / 'genotypes.txt'
  path.write_text('FOUND = ' + formats.to_text(dx.named_genotypes()['gdas'], 'darts'))
  assert space.find(str(path), None, None) == dx.named_genotypes()['gdas']
