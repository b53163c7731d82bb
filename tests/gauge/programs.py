"""All modules of gauge programs: to import this one is to register every program."""

from __future__ import annotations

from . import (
    programs_of_libraries,
    programs_of_maps,
    programs_of_metrics,
    programs_of_networks,
    programs_of_shared_networks,
    programs_of_spaces,
    programs_of_torch_modules,
    registry,
)

PROGRAMS = registry.PROGRAMS
MODULES = (
    programs_of_spaces,
    programs_of_maps,
    programs_of_metrics,
    programs_of_networks,
    programs_of_shared_networks,
    programs_of_libraries,
    programs_of_torch_modules,
)
