"""The figures of a policy over time: what `runs` read of it as the bytes of a PNG."""

import matplotlib
import numpy as np

from daas_jax.report import figures, runs as runs_lib

_MOST_ROWS = 60  # operations in a figure: those of DDAS fit


def likeliest_first(policy):
  """The operations by their last probability, averaged over the slots: positions [N]."""
  return np.argsort(-policy.probability[-1].mean(0), kind='stable')


def policy_areas(run):
  """The probability of every operation over time, stacked, a panel a slot (joint-search paper,
  Figure 2)."""
  policy = run.policy
  order = likeliest_first(policy)
  # What can be told apart has its own colour; where only one would be left over, it has one too.
  shown = order if len(order) <= len(figures.COLORS) else order[: len(figures.COLORS) - 1]
  rest = len(order) - len(shown)
  slots = policy.probability.shape[1]

  def plot(drawing):
    axes = drawing.subplots(1, slots, sharey=True, squeeze=False)[0]
    for k, axis in enumerate(axes):
      names = [figures.label_of(policy.candidates[n]) for n in shown]
      names += [f'{rest} others'][:rest] + ['_'] * (rest - 1)
      axis.stackplot(policy.epochs, policy.probability[:, k, order].T, labels=names,
                     edgecolor='white', lw=0.6,
                     colors=[figures.color(i) if i < len(shown) else figures.GREY
                             for i in range(len(order))])
      scale = runs_lib.steps_per_epoch(run)
      if scale:
        figures.mark_phases(axis, run, scale, text=False)
      axis.set(title=f'operation {k + 1} of the policy', xlabel='epochs', ylim=(0, 1),
               xlim=(policy.epochs[0], policy.epochs[-1]))
      figures.whole_epochs(axis)
    axes[0].set_ylabel('probability, stacked')
    handles, labels = axes[0].get_legend_handles_labels()
    drawing.legend(handles[::-1], labels[::-1], loc='outside right center')

  return figures.png((max(5, 2 + 3.5 * slots), 4), plot)


def policy_parts(policy):
  """[(title, [T, K, N])] of what the policy has over time."""
  parts = (('probability', policy.probability), ('application probability', policy.applied),
           ('mean magnitude', policy.strength))
  return [(title, values) for title, values in parts if values is not None]


def policy_maps(policy):
  """Probability, application probability and magnitude of every operation over time as colours: a
  row a slot."""
  parts, order = policy_parts(policy), likeliest_first(policy)[:_MOST_ROWS]
  slots, n = policy.probability.shape[1], len(order)
  ticks = np.unique(np.linspace(0, len(policy.epochs) - 1, min(6, len(policy.epochs))).astype(int))

  def plot(drawing):
    axes = drawing.subplots(slots, len(parts), squeeze=False, sharey=True)
    for j, (title, values) in enumerate(parts):
      colors = matplotlib.colormaps['cividis'].with_extremes(bad='0.88')
      finite = values[np.isfinite(values)]
      limits = {'vmin': finite.min(), 'vmax': finite.max()} if finite.size else {}
      for k in range(slots):
        axis = axes[k, j]
        image = axis.imshow(np.ma.masked_invalid(values[:, k, order].T), cmap=colors, aspect='auto',
                            **limits, interpolation='nearest')
        axis.set(yticks=range(n),
                 yticklabels=[figures.label_of(policy.candidates[i]) for i in order],
                 xticks=ticks, xticklabels=[str(policy.epochs[t]) for t in ticks],
                 title=f'{title}, operation {k + 1}')
        axis.tick_params(axis='y', labelsize=8, length=0)
        axis.grid(False)
      axes[-1, j].set_xlabel('epochs')
      drawing.colorbar(image, ax=axes[:, j], location='bottom', aspect=30, pad=0.03)

  return figures.png((1.6 + 2.9 * len(parts), 1.6 + slots * (0.5 + 0.17 * n)), plot)
