"""`python -I -S watch.py COMMAND...`: runs it and prints as JSON what it said and its seconds, CPU seconds and peak MB.

A process of its own and a small one, for the kernel counts the memory of whoever starts a program as the program's.
"""

import json
import os
import sys
import tempfile
import time

with tempfile.TemporaryFile() as said:
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.dup2(said.fileno(), 1)
        os.execvp(sys.argv[1], sys.argv[1:])
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    said.seek(0)
    words = said.read().decode(errors="replace")
code = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
figures = {"code": code, "seconds": seconds, "cpu_s": cpu, "peak_mb": usage.ru_maxrss / 1024}
print(json.dumps(figures | {"said": words}))
