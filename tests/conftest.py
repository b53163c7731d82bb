"""Profiles of Hypothesis: how many examples of a law are drawn, and which.

`dev` explores.  `ci`, where CI is set, repeats the same examples every time.  `thorough` draws more of them, for the
slow run: ``pytest -m "" --hypothesis-profile thorough`` is every test with every example.  `fuzz` is for one file of
tests at a time, overnight.
"""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before NumPy is imported: as many workers as processors leave one thread for the arithmetic of each.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

from hypothesis import HealthCheck, settings

IN_CI = bool(os.environ.get("CI"))
# How long an example takes, or the drawing of it, says how busy the machine is.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=IN_CI)

settings.register_profile("dev", PATIENT, max_examples=15)
settings.register_profile("ci", PATIENT, max_examples=15)
settings.register_profile("thorough", PATIENT, max_examples=25)
settings.register_profile("fuzz", PATIENT, max_examples=100_000, derandomize=False)
settings.load_profile("ci" if IN_CI else "dev")
