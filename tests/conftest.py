"""Profiles of Hypothesis: `dev` explores, `ci` (where CI is set) repeats the same examples every time, half as many."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("dev", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
