"""PyTorch modules as abstract networks, and back.

`from_module` finds the network that a module computes, with its weights and its frames; `to_module` makes a
module of a network, with parameters in any frames; `kfac_of_module` takes the metric of layers of a module that
no network here has.  Data and weights stand in PyTorch's layout outside, (N, channels, *grid), and as this package
has them inside, (N, *grid, channels).  PyTorch is imported when one of these is called.
"""

from __future__ import annotations

from geomkfac.interop.torch_export import to_module
from geomkfac.interop.torch_hooks import kfac_of_module
from geomkfac.interop.torch_import import from_module
from geomkfac.interop.torch_imported import ImportedModule
from geomkfac.interop.torch_metric import LayerPart, ModuleMetric
from geomkfac.interop.torch_support import UnplaceableModuleError

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "from_module",
    "ImportedModule",
    "to_module",
    "kfac_of_module",
    "ModuleMetric",
    "LayerPart",
    "UnplaceableModuleError",
]
