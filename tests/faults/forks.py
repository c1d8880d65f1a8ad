"""A server that has imported JAX and forks real processes of the commands: seconds of imports are paid once.

It is never a process with a backend, so a fork is safe. A request is a line of JSON on stdin, an answer one on stdout:
{'run': kind, 'words': [...], 'output': FILE} starts a process and is answered with its id, and may have 'moment' (see
`arm`), 'slow' (seconds a step), 'jump' (see `jump`), 'file_size' (bytes a file may have), 'count' (see `count`),
'same' (seconds in which signals are one);
{'wait': id} with the status of that process, negative for a signal.
"""

import functools
import importlib
import itertools
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback

CHANGES = ('open', 'os.mkdir', 'os.rename', 'os.rmdir', 'os.remove', 'os.truncate')


def arm(moment):
  """Sends this process a signal at a moment of its life that is counted in what it does to files.

  Args:
    moment: {'signal': int, 'part': what their path holds, 'count': the how many-th of them, 'delay': seconds after it;
      'times': how often, one after the other}.
  """
  seen, lock = [0], threading.Lock()

  def send():
    time.sleep(moment.get('delay', 0))
    for _ in range(moment.get('times', 1)):
      os.kill(os.getpid(), moment['signal'])
      time.sleep(0.01)

  def hook(event, arguments):
    if event not in CHANGES or not arguments or moment['part'] not in str(arguments[0]):
      return
    with lock:
      seen[0] += 1
      if seen[0] != moment['count']:
        return
    if moment.get('delay'):
      threading.Thread(target=send, daemon=True).start()
    else:
      send()

  sys.addaudithook(hook)


def count(part, path):
  """Writes to a file how many changes a process made of whatever its path holds `part`, when it ends."""
  seen = [0]

  def hook(event, arguments):
    seen[0] += event in CHANGES and bool(arguments) and part in str(arguments[0])

  sys.addaudithook(hook)
  return lambda: open(path, 'w').write(str(seen[0]))


def slow(seconds):
  """Every step takes so long at least: what is counted in changes to files happens in the middle of a run."""
  from daas_jax.runtime import loop
  run = loop.run

  def batches(job, number):
    time.sleep(seconds)
    return job.batches(number)

  loop.run = lambda job, *rest: run(job._replace(batches=functools.partial(batches, job)), *rest)


def jump():
  """From now on every look at the clock finds it an hour before the last look: also what is promised never to go back,
  but for time.monotonic, on which Python's own locks rely."""
  for name in ('time', 'perf_counter'):
    def back(start=getattr(time, name)(), looks=itertools.count(1)):
      return start - 3600 * next(looks)
    setattr(time, name, back)


def child(request):
  """The process itself; returns its exit status."""
  from daas_jax.runtime import cli, signals
  module = importlib.import_module(f"daas_jax.{request['run']}.command")
  output = os.open(request['output'], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
  os.dup2(output, 1)
  os.dup2(output, 2)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  ends = []
  if request.get('moment'):
    arm(request['moment'])
  if request.get('count'):
    ends.append(count(*request['count']))
  if request.get('slow'):
    slow(request['slow'])
  if request.get('jump'):
    jump()
  if 'same' in request:
    signals.SAME_SECONDS = request['same']
  if request.get('file_size'):
    resource.setrlimit(resource.RLIMIT_FSIZE, (request['file_size'], resource.RLIM_INFINITY))
  try:
    status = cli.run(request['run'], module.main, request['words'], module.define_flags)
  except BaseException:
    traceback.print_exc()
    status = 1
  sys.stdout.flush()
  sys.stderr.flush()
  for end in ends:
    end()
  return status


def serve():
  from daas_jax.search import command as search
  from daas_jax.train import command as train
  del search, train
  for line in sys.stdin:
    request = json.loads(line)
    if 'wait' in request:
      status = os.waitpid(request['wait'], 0)[1]
      answer = os.waitstatus_to_exitcode(status)
    else:
      answer = os.fork()
      if not answer:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os._exit(child(request))
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
  serve()
