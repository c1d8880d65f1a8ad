"""The check of DDAS 4.1 for the joint search: Rotate90 undoes three quarter turns of the validation images.

The joint search augments the validation images with the policy that augments the training images, and lowers their
loss: it is drawn to what undoes the turn. Rotate90 after three quarter turns is upright again, which the network
knows from the training images that the policy leaves as they are. The more of them it turns as well, the weaker that
is: Rotate90 gets more than half of a sub-policy's selection in the first epoch and does not stay alone. At the end of
seed 0 its mean selection is 0.445, that of HorizontalFlip 0.422. Operations, L, temperature and rate were chosen on
these seeds. With --config.data.validation_turns=0 or 2 it is not found. (With 1 it is: Rotate90 then makes it a half
turn, and digits look more like themselves after half a turn than after a quarter.) The figure is that of `python -m
daas_jax.report`.
"""

from daas_jax.config import search_config
from daas_jax.policies import relaxed


def get_config():
  config = search_config('joint_faa')
  config.data.name = 'embedded'       # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.data.validation_turns = 3    # quarter turns, counter-clockwise as Rotate90's one: four are none
  config.preprocess.padding = 2       # pixels, of 28 x 28
  config.preprocess.flip = False      # a turned image flipped is not what Rotate90 turns back
  config.network.name = 'small_cnn'   # no architecture: the policy alone is searched
  config.network.channels = 8
  config.policy.ops = tuple(op for op in relaxed.OPERATIONS if op not in ('Rotate', 'SamplePairing')) + ('Rotate90',)
  config.policy.K = 1                 # two turns would be one of 180 degrees
  config.policy.L = 2                 # alone, one swings to and fro: turning all, the network unlearns upright images
  config.policy.selection_temperature = 0.2  # 0.05 begins with one operation of a random choice in each sub-policy
  config.search.epochs = 2
  config.search.batch = 32
  config.theta.lr = 0.05
  config.theta.lr_min = 0.05
  config.gamma.lr = 0.02
  config.log.every_steps = 31
  return config
