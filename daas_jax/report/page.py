"""The HTML of a report: pieces that escape whatever text they are given, and one page with
everything inside."""

import base64
import html

MARK = '<meta name="generator" content="daas_jax.report">'
"""By which a report is known as one, near its beginning."""

_CSS = '''
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5d646d; --back: #ffffff;
        --line: #d9dde2; --box: #f4f6f8;
  --mark: #fff3d6; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e6e9; --soft: #a2a9b2; --back: #15181c; --line: #363c44; --box: #1e2329;
          --mark: #43371a;
    --link: #84b9f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; color: var(--text); background: var(--back);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 0.5rem; padding-top: 0.6rem;
     border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 1.8rem 0 0.4rem; }
a { color: var(--link); }
nav { background: var(--box); border-radius: 6px; padding: 0.6rem 1rem; }
nav ul { margin: 0; padding-left: 1.1rem; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: white; border-radius: 6px;
             padding: 0.4rem; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 0.4rem; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; text-align: left; vertical-align: top;
         overflow-wrap: normal;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.note { background: var(--mark); border-radius: 6px; padding: 0.5rem 0.8rem; margin: 0.8rem 0; }
pre { overflow-x: auto; background: var(--box); border-radius: 6px; padding: 0.6rem;
      font-size: 0.85rem; }
summary { cursor: pointer; }
'''


def text(value):
  """Text, escaped for any place in the page; a lone surrogate (of a file name) cannot be written
  and becomes '?'."""
  return html.escape(str(value).encode('utf-8', 'replace').decode('utf-8'), quote=True)


def paragraph(value):
  return f'<p>{text(value)}</p>\n'


def note(value):
  """A line that is not to be overlooked."""
  return f'<p class="note">{text(value)}</p>\n'


def heading(level, value, anchor):
  return f'<h{level} id="{text(anchor)}">{text(value)}</h{level}>\n'


def table(rows, head=None):
  """Rows of cells; the first cell of each names the row. It scrolls inside its own box."""
  lines = ['<tr>' + ''.join(f'<th scope="col">{text(cell)}</th>' for cell in head)
           + '</tr>'] if head else []
  for first, *rest in rows:
    cells = ''.join(f'<td>{text(cell)}</td>' for cell in rest)
    lines.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
  return '<div class="scroll" tabindex="0"><table>\n' + '\n'.join(lines) + '\n</table></div>\n'


def figure(png, caption, words):
  """An image inside the page; `words` say what it shows to who cannot see it."""
  data = base64.b64encode(png).decode('ascii')
  return (f'<figure><img src="data:image/png;base64,{data}" alt="{text(words)}">\n'
          f'<figcaption>{text(caption)}</figcaption></figure>\n')


def folded(title, inside):
  """HTML that is shown when its title is clicked."""
  return f'<details><summary>{text(title)}</summary>\n{inside}</details>\n'


def preformatted(value):
  return f'<pre>{text(value)}</pre>\n'


def document(title, contents, body):
  """The whole page.

  Args:
    title: text.
    contents: [(level 2 or 3, text, anchor)], the table of contents.
    body: HTML.
  """
  return (
      f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
      f'{MARK}\n'
      '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
      f'<title>{text(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n'
      f'<nav aria-label="Contents">\n{_contents(contents)}</nav>\n<main>\n{body}</main>\n</body>\n'
      '</html>\n'
  )


def _contents(entries):
  groups = []
  for level, words, anchor in entries:
    link = f'<a href="#{text(anchor)}">{text(words)}</a>'
    if level == 2:
      groups.append((link, []))
    else:
      groups[-1][1].append(f'<li>{link}</li>')
  inner = lambda links: f'\n<ul>{"".join(links)}</ul>' if links else ''
  return '<ul>\n' + '\n'.join(
      f'<li>{link}{inner(links)}</li>' for link, links in groups) + '\n</ul>\n'
