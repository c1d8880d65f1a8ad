"""A found policy from its file, whichever form the search's method gave it."""

from daas_jax.policies import files, schedule, transformations


def load(path):
  """The `files.PolicyTable`, `schedule.Schedule` or `transformations.Transformations` in a policy.json.

  Raises:
    BadInput: the file is missing or malformed.
  """
  content = files.read(path)
  if isinstance(content, dict) and content.get('format') == schedule.FORMAT:
    return schedule.from_json(content, path)
  if isinstance(content, dict) and content.get('format') == transformations.FORMAT:
    return transformations.from_json(content, path)
  return files.from_json(content, path)


def load_table(path):
  """The `files.PolicyTable` of a policy.json: of one with every epoch, that of the last."""
  found = load(path)
  rows = {schedule.Schedule: schedule, transformations.Transformations: transformations}
  return rows[type(found)].table(found) if type(found) in rows else found


def load_policy(path, smoothing=1):
  """A policy.json as a function (key, images [B, H, W, C], progress=1.0) -> images, for any training loop.

  One policy is drawn a call, and for every image whether it is applied, signs and places. Images are floating in
  [0, 1], or uint8; the result has their shape and dtype. The function is pure and fit for `jit`.

  Args:
    path: the file.
    smoothing: for a policy of every epoch, width of the mean filter over its total probability, odd; 1 is none.

  Returns:
    The function. progress in [0, 1] is the share of the training that is done: it chooses the epoch of a policy of
    every epoch (nearest neighbour), and is ignored otherwise.

  Raises:
    BadInput: the file is missing or malformed, or `smoothing` is another number.
  """
  schedule.check_smoothing(smoothing)  # whatever the file holds
  found = load(path)
  if isinstance(found, transformations.Transformations):
    return transformations.augmenter(found)
  return schedule.augmenter(found, smoothing) if isinstance(found, schedule.Schedule) else files.augmenter(found)
