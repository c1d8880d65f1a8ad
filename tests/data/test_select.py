"""Images in memory at another side: what Pillow makes of them, photographs of the field included."""

import numpy as np
import PIL.Image
import pytest

from daas_jax import config as config_lib
from daas_jax.augment import camera
from daas_jax.data import dataset, select, sources
from daas_jax.errors import BadInput


def _config(**changes):
  config = config_lib.search_config()
  config.data.name = 'embedded'
  for key, value in changes.items():
    config.data[key] = value
  return config


def _halved(images):
  """Bilinear with antialiasing, at half of the side."""
  side = images.shape[1] // 2
  one = lambda image: np.asarray(PIL.Image.fromarray(image[..., 0]).resize((side, side), PIL.Image.Resampling.BILINEAR))
  return np.stack([one(image) for image in images])[..., None]


def test_a_set_in_memory_at_half_of_its_side():
  data, whole = select.from_config(_config(side=14)), sources.load('embedded')
  assert data.train_images.shape == (4000, 14, 14, 1) and data.test_images.dtype == np.uint8
  np.testing.assert_array_equal(data.train_images[:20], _halved(whole.train_images[:20]))
  np.testing.assert_array_equal(data.test_images[-20:], _halved(whole.test_images[-20:]))
  np.testing.assert_allclose(data.mean, (data.train_images / 255).mean((0, 1, 2)), rtol=1e-9)
  np.testing.assert_allclose(data.std, (data.train_images / 255).std((0, 1, 2)), rtol=1e-9)
  np.testing.assert_array_equal(data.train_labels, whole.train_labels)


def test_a_photograph_is_taken_before_it_is_made_smaller():
  data, whole = select.from_config(_config(name='embedded:field', side=14)), sources.load('embedded')
  np.testing.assert_array_equal(data.test_images[:9], _halved(camera.photographs(whole.test_images, 1)[:9]))
  train, val = data.halves
  np.testing.assert_array_equal(data.train_images[train[:9]], _halved(whole.train_images[train[:9]]))
  np.testing.assert_array_equal(data.train_images[val[:9]], _halved(camera.photographs(whole.train_images, 0)[val[:9]]))
  np.testing.assert_allclose(data.mean, (data.train_images[train] / 255).mean((0, 1, 2)), rtol=1e-9)


def test_images_that_have_the_side_are_left_alone():
  data = sources.load('embedded')
  assert select.resized(data, 0) is data and select.resized(data, 28) is data


@pytest.mark.parametrize('fit, corner, shape', [('crop', 9, (6, 6, 3)), ('pad', 0, (6, 6, 3)), ('stretch', 9, (6, 6, 3))])
def test_images_that_are_no_squares(fit, corner, shape):
  """Of 6 x 12 pixels: the middle, all of it on black, or squeezed."""
  images = np.full((2, 6, 12, 3), 9, np.uint8)
  images[:, :, :3] = images[:, :, 9:] = 200
  data = select.resized(dataset.assemble('mine', images, [0, 1], images, [0, 1]), 6, fit)
  assert data.train_images.shape == (2, *shape)
  assert (data.train_images[0, 0, 0] == (corner if fit != 'stretch' else 200)).all()


def test_a_side_too_small_for_the_network_is_one_line():
  with pytest.raises(BadInput, match=r'^images of 6 x 6 pixels are too small [^\n]*at least 8 x 8 are needed$'):
    select.from_config(_config(side=6))
