"""RetinaNet: its size against the published one, its loss against cases by hand, what it decodes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.detection import anchors, backbone, networks, retinanet

RNG = np.random.default_rng(0)
SIDE = 64
GRID = anchors.grid(SIDE, SIDE)
BOXES = np.float32([[[4, 6, 40, 38], [20, 34, 64, 60], [0, 0, 0, 0]], [[8, 8, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]])
LABELS = np.int32([[1, 0, -1], [2, -1, -1]])
loss_and_slope = jax.jit(jax.value_and_grad(retinanet.loss, has_aux=True))
decode = jax.jit(retinanet.decode, static_argnums=(1, 2))


def _count(depth, width, classes):
  net = networks.make('retinanet', classes, depth, width).module
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def test_parameters_are_torchvisions_and_what_differs():
  """torchvision.models.detection.retinanet_resnet50_fpn has 34,014,999 (91 classes, its documentation).

  There the affine maps of the backbone's normalisations are frozen and not counted, the heads have convolutions with an
  offset and no normalisation (here no offset, a scale and an offset of the normalisation), and P6 is made of P5, with
  256 channels and not C5's 2,048 (Lin et al. 2017, section 4).
  """
  # channels normalised in ResNet-50: its stem; of each stage n blocks of c, c and 4 c, and 4 c of the shortcut
  normalised = 64 + sum(n * 6 * c + 4 * c for n, c in zip((3, 4, 6, 3), (64, 128, 256, 512)))
  assert normalised == 26_560  # torchvision's resnet50: 25,557,032 in all, with the classifier
  p6 = 3 * 3 * (2048 - 256) * 256
  assert _count(50, 64, 91) == 34_014_999 + 2 * normalised + p6 + 2 * 4 * 256


@pytest.mark.parametrize('depth, convolutions', [(18, 11_166_912), (34, 21_267_648), (101, 42_394_816)])
def test_parameters_of_other_depths(depth, convolutions):
  """`convolutions`: those of torchvision's resnet18, 34 and 101, without classifier and normalisations."""
  bottleneck = depth > 34
  blocks = backbone.BLOCKS[depth]
  out = [64 * 2**i * (4 if bottleneck else 1) for i in range(4)]
  first = [w for i, w in enumerate(out) if bottleneck or i]  # stages whose first block has a convolved shortcut
  normalised = 64 + sum(n * (6 if bottleneck else 2) * 64 * 2**i for i, n in enumerate(blocks)) + sum(first)
  c = 256
  pyramid = sum(w * c + c for w in out[1:]) + 3 * (9 * c * c + c) + (9 * out[3] * c + c) + (9 * c * c + c)
  heads = 2 * 4 * (9 * c * c + 2 * c) + (9 * c + 1) * 9 * (80 + 4)
  published = {18: 11_689_512, 34: 21_797_672, 101: 44_549_160}[depth]  # with both
  assert published == convolutions + 2 * normalised + (out[3] + 1) * 1000
  assert _count(depth, 64, 80) == convolutions + 2 * normalised + pyramid + heads


def _right(boxes, labels, n=3):
  """The outputs that say just these boxes: every positive anchor its own."""
  index, positive, _ = (np.stack(x) for x in zip(*(anchors.assign(b, GRID) for b in boxes)))
  box, label = np.stack([b[i] for b, i in zip(boxes, index)]), np.stack([c[i] for c, i in zip(labels, index)])
  logits = np.where((label[..., None] == np.arange(n)) & positive[..., None], 14.0, -14.0)
  box = np.where(positive[..., None], box, GRID)
  return retinanet.Outputs(np.float32(logits), np.asarray(anchors.encode(box, GRID)), GRID)


def test_outputs_that_are_right_have_no_loss_and_decode_to_the_truth():
  outputs = _right(BOXES, LABELS)
  (loss, iou), _ = loss_and_slope(outputs, BOXES, LABELS)
  assert loss < 1e-4 and iou == pytest.approx(1, abs=1e-4)
  found = jax.device_get(decode(outputs, SIDE, SIDE))
  assert found.scores.shape == (2, 100)
  for b, n in enumerate((2, 1)):
    there = found.scores[b] > 0
    assert list(there) == [True] * n + [False] * (100 - n)  # several anchors say the same box
    order = np.argsort(found.boxes[b][there][:, 0])
    np.testing.assert_allclose(found.boxes[b][there][order], BOXES[b, :n], atol=1e-3)
    np.testing.assert_array_equal(found.labels[b][there][order], LABELS[b, :n])


@pytest.mark.parametrize('third, counted', [((0, 0, 32, 72), True), ((0, 0, 32, 45), False)])  # IoU 0.3 and 0.45
def test_loss_by_hand(third, counted):
  """A positive anchor, off by a quarter of its height, one of background and a third one; p = 1/2 everywhere."""
  grid = np.float32([[0, 0, 32, 32], [40, 40, 72, 72], third])
  box = np.float32([[[8, 0, 40, 32], [0, 0, 0, 0]]])
  assert list(anchors.assign(box[0], grid)[2]) == [True, True, counted]
  outputs = retinanet.Outputs(jnp.zeros((1, 3, 2)), jnp.zeros((1, 3, 4)), grid)
  (loss, iou), slope = loss_and_slope(outputs, box, np.int32([[1, -1]]))
  focal = (0.25 + (5 if counted else 3) * 0.75) * 0.25 * np.log(2)
  smooth_l1 = 0.25 - retinanet.BETA / 2
  assert loss == pytest.approx(focal + smooth_l1, rel=1e-5) and iou == pytest.approx(24 / 40)
  np.testing.assert_allclose(slope.deltas[0], [[-1, 0, 0, 0], [0] * 4, [0] * 4], atol=1e-6)


def test_a_batch_without_objects_has_a_finite_loss_and_gradient():
  outputs = retinanet.Outputs(jnp.zeros((2, len(GRID), 3)), jnp.ones((2, len(GRID), 4)), GRID)
  (loss, iou), slope = loss_and_slope(outputs, np.zeros_like(BOXES), np.full_like(LABELS, -1))
  assert np.isfinite(loss) and iou == 0
  assert np.all(np.isfinite(slope.logits)) and np.all(slope.logits > 0) and not np.any(slope.deltas)


def _parameters(net, images):
  """Drawn on the host: to compile the drawing of every kernel would take most of this file's time."""
  def draw(path, leaf):
    name = path[-1].key
    if name == 'kernel':
      return np.float32(RNG.normal(0, 1 / math.sqrt(math.prod(leaf.shape[:-1])), leaf.shape))
    return np.full(leaf.shape, name == 'scale', np.float32)
  return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(net.init, jax.random.key(0), images)['params'])


@pytest.fixture(name='tiny', scope='module')
def tiny_fixture():
  """(parameters, images, gradient program) of a bottleneck RetinaNet on images whose sides no level divides."""
  net = networks.make('retinanet', 3, 14, 4)
  images = jnp.asarray(RNG.normal(size=(2, 50, 44, 1)), jnp.float32)

  @jax.jit
  def gradient(params, images, boxes, labels):
    def loss(params):
      outputs = net.module.apply({'params': params}, images)
      return net.loss(outputs, boxes, labels)[0], outputs
    return jax.value_and_grad(loss, has_aux=True)(params)

  return _parameters(net.module, images), images, gradient


def test_gradients_are_finite_and_reach_every_parameter(tiny):
  params, images, gradient = tiny
  (loss, outputs), slope = gradient(params, images, np.minimum(BOXES, 44), LABELS)
  assert np.isfinite(loss) and outputs.logits.shape == (2, len(anchors.grid(50, 44)), 3)
  assert outputs.deltas.shape == (2, len(outputs.anchors), 4)
  for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
    assert np.all(np.isfinite(leaf)) and np.any(leaf), jax.tree_util.keystr(path)


def test_an_image_does_not_depend_on_its_batch(tiny):
  params, images, gradient = tiny
  boxes = np.minimum(BOXES, 44)
  (_, both), _ = gradient(params, images, boxes, LABELS)
  (_, swapped), _ = gradient(params, jnp.stack([images[0], images[0]]), boxes, LABELS)
  np.testing.assert_allclose(swapped.logits[0], both.logits[0], atol=1e-5)
  assert np.any(np.abs(swapped.logits[1] - both.logits[1]) > 1e-4)


def test_a_head_starts_at_its_prior():
  head, x = retinanet.Head(2, -math.log(99)), jnp.asarray(RNG.normal(size=(1, 2, 3, 4)), jnp.float32)
  out, _ = jax.jit(head.init_with_output)(jax.random.key(0), x)
  assert out.shape == (1, 2 * 3 * 9, 2)
  np.testing.assert_allclose(jax.nn.sigmoid(out), 0.01, rtol=0.5)
