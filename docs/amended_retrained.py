"""`python docs/amended_retrained.py`: the figure of the Amended-DARTS study's errors, out of README's table of it."""

import pathlib
import re

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).parent
ROW = re.compile(r'\| eta = ([\d.]+), (\d+) epochs \|[^|]*\| 2 of 2 \| ([\d.]+) \| [\d.]+ \| ([\d.]+) \|')


def errors(text):
  """{eta: [(epochs, mean, errors of the two seeds), ...]} of the table in a page, in percent."""
  out = {}
  for eta, epochs, mean, best in ROW.findall(text):
    mean, best = float(mean), float(best)
    out.setdefault(eta, []).append((int(epochs), mean, (best, 2 * mean - best)))
  return out


def draw(found, path):
  """Means as lines and seeds as marks, to a PNG file."""
  figure, axes = plt.subplots(figsize=(6.5, 3.6), layout='constrained')
  for i, (eta, rows) in enumerate(found.items()):
    epochs = [n * 1.015 ** (i - 1.5) for n, _, _ in rows]  # side by side
    line, = axes.plot(epochs, [mean for _, mean, _ in rows], label=f'eta = {eta}')
    for seed in range(2):
      axes.plot(epochs, [both[seed] for *_, both in rows], 'o', ms=4, color=line.get_color())
  axes.set(xlabel='epochs of the search', ylabel='test error, %', xscale='log')
  axes.set_xticks([25, 50, 100], ['25', '50', '100'], minor=False)
  axes.minorticks_off()
  axes.spines[['top', 'right']].set_visible(False)
  axes.grid(alpha=0.25)
  axes.legend(frameon=False, ncols=4, loc='lower center', bbox_to_anchor=(0.5, 1.0))
  figure.savefig(path, dpi=150, metadata={'Software': None})


if __name__ == '__main__':
  draw(errors((HERE.parent / 'README.md').read_text(encoding='utf-8')), HERE / 'amended_retrained.png')
