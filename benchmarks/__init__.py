"""What the README's figures of the derivation come from: ``python -m benchmarks`` prints them all."""

import os

# One thread everywhere: this has to be said before NumPy and the others are imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
# JAX's own threads heed none of these: one processor is all there is for anybody, where that can be said.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
