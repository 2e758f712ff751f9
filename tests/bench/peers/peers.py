"""peers.py NAME THREADS - another program's form of the works, one call at a time, for the benchmark.

Reads lines and answers each with one line (../serve.h):
    (at the start)         ready 0
    setup KIND KEY=VALUE   ready MS, after a first call that took so long, compiling included; or: no REASON
    run COUNT              ms MS CPU, of one call, the mean of COUNT in a row, and of the processors, all threads together
    end                    ready 0, with the work's memory given back
A work is a function without arguments that returns when its result is there; NAME_works.py has `setup(kind, sizes, threads)`, which makes it.
"""
import gc
import importlib
import os
import sys
import time

MODULES = {"torch": "torch_works", "torch.compile": "torch_works", "jax": "jax_works", "onnxruntime": "onnx_works", "llama.cpp": "llama_works"}


def limit_threads(threads):
    """Before any library starts its threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def read_sizes(words):
    sizes = {}
    for word in words:
        key, value = word.split("=")
        sizes[key] = int(value) if value.isdigit() else value
    return sizes


LONG_MS = 10  # a call that takes less comes once before those that are timed: threads that slept are awake then


def timed(work, count):
    start, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        work()
    return 1e3 * (time.perf_counter() - start) / count, 1e3 * (time.process_time() - used) / count


def answer(text):
    sys.stdout.write(text.replace("\n", " ")[:400] + "\n")
    sys.stdout.flush()


def serve(module, name, threads):
    work, last = None, LONG_MS
    for line in sys.stdin:
        word, *rest = line.split()
        try:
            if word == "setup":
                work, last = None, LONG_MS
                start = time.perf_counter()
                work = module.setup(rest[0], read_sizes(rest[1:]), threads, name)
                work()
                answer(f"ready {1e3 * (time.perf_counter() - start):.6f}")
            elif word == "run":
                if last < LONG_MS:
                    work()
                last, used = timed(work, int(rest[0]))
                answer(f"ms {last:.6f} {used:.6f}")
            elif word == "end":
                work = None
                gc.collect()
                answer("ready 0")
        except Exception as error:  # whatever a library finds to say is the reason of an empty column
            answer(f"no {error}" if type(error).__name__ == "Unknown" else f"no {type(error).__name__}: {error}")


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    limit_threads(threads)
    if name == "jax" and threads == 1:  # its pool is as large as the processors it may use
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        module = importlib.import_module(MODULES[name])
    except Exception as error:
        answer(f"no {type(error).__name__}: {error}")
        return
    answer("ready 0")
    serve(module, name, threads)


main()
