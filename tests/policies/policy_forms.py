"""One small policy of every form, as what its file holds."""

TABLE = {
    'format': 'daas_jax.policy', 'version': 3, 'ops': ['Rotate', 'Invert', 'Solarize'], 'K': 2, 'levels': 10,
    'policies': [
        {'ops': ['Rotate', 'Invert'], 'probability': 0.5, 'p': [0.3, 0.8], 'level': [3, 9]},
        {'ops': ['Solarize', 'Rotate'], 'probability': 0.3, 'p': [1.0, 0.25], 'level': [4, 0]},
        {'ops': ['Invert', 'Invert'], 'probability': 0.2, 'p': [0.0, 1.0], 'level': [0, 0]}]}
SCHEDULE = {
    'format': 'daas_jax.policy_schedule', 'version': 2, 'K': 2,
    'candidates': [{'op': 'Rotate', 'strength': 0.2, 'magnitude': 6.0}, {'op': 'Equalize'},
                   {'op': 'Contrast', 'strength': 1.4, 'magnitude': 2.62}],
    'epochs': [{'p_tp': 0.2, 'p_o': [0.5, 0.2, 0.3]}, {'p_tp': 0.9, 'p_o': [0.1, 0.0, 0.9]},
               {'p_tp': 0.4, 'p_o': [0.2, 0.7, 0.1]}]}
TRANSFORMATIONS = {
    'format': 'daas_jax.policy_transformations', 'version': 1, 'K': 2, 'ops': ['Color', 'Invert', 'Identity'],
    'epochs': [[0.1, 0.2, 0.1, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05], [0.3, 0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]]}
IMAGES = {
    'format': 'daas_jax.policy', 'version': 4, 'ops': ['Rotate', 'Invert', 'Solarize'], 'K': 2, 'levels': 3,
    'policies': [
        {'ops': ['Rotate', 'Invert'], 'probability': 0.6, 'p': [0.3, 0.8], 'level': [0, 2],
         'level_probability': [[0.5, 0.2, 0.3], [0.3, 0.3, 0.4]]},
        {'ops': ['Solarize', 'Solarize'], 'probability': 0.4, 'p': [1.0, 0.5], 'level': [1, 2],
         'level_probability': [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]}]}
BOTH_SIGNS = {  # of earlier versions: levels and strengths of Rotate from -30 to 30 degrees, and what they mean
    'table': ({**TABLE, 'version': 1}, {**TABLE, 'policies': [
        {**row, 'level': level} for row, level in zip(TABLE['policies'], ([3, 9], [4, 9], [0, 0]))]}),
    'images': ({**IMAGES, 'version': 2}, {**IMAGES, 'policies': [
        {**IMAGES['policies'][0], 'level': [2, 2], 'level_probability': [[0.2, 0.0, 0.8], [0.3, 0.3, 0.4]]},
        IMAGES['policies'][1]]}),
    'schedule': ({**SCHEDULE, 'version': 1, 'candidates': [
        {'op': 'Rotate', 'strength': 0.6}, {'op': 'Equalize'}, {'op': 'Contrast', 'strength': 1.4}]}, SCHEDULE)}
ALL = {'table': TABLE, 'images': IMAGES, 'schedule': SCHEDULE, 'transformations': TRANSFORMATIONS}


def alone(name, level=9):
  """The table of one operation, always applied at one of ten levels."""
  return {'format': 'daas_jax.policy', 'version': 3, 'ops': [name], 'K': 1, 'levels': 10,
          'policies': [{'ops': [name], 'probability': 1, 'p': [1], 'level': [level]}]}
