"""Files, data sets, PyTorch modules, and the factors of other libraries."""

from __future__ import annotations

from geomkfac.interop.checkpoint import Checkpoint
from geomkfac.interop.datasets import load_digits, load_digits_network
from geomkfac.interop.files import (
    read_arrays,
    read_data,
    read_network,
    read_sequences,
    write_arrays,
    write_data,
    write_network,
)
from geomkfac.interop.libraries.column_orders import channel_major, offset_major
from geomkfac.interop.libraries.conventions import (
    BACKPACK,
    CURVLINOPS,
    CURVLINOPS_SEPARATE,
    KFAC_JAX,
    NNGEOMETRY,
    FactorConvention,
    FactorSetting,
    LayerFactors,
    LayerScaling,
)
from geomkfac.interop.libraries.forms import from_convention, layer_scalings, to_convention
from geomkfac.interop.libraries.transformation import LayerTransformation, TransformationReport, transforms_as_metric
from geomkfac.interop.mapped_files import open_data
from geomkfac.interop.pytorch.export import to_module
from geomkfac.interop.pytorch.imported import ImportedModule
from geomkfac.interop.pytorch.importing import from_module
from geomkfac.interop.pytorch.kfac_of_module import kfac_of_module
from geomkfac.interop.pytorch.module_metric import LayerPart, ModuleMetric
from geomkfac.interop.pytorch.support import UnplaceableModuleError

__all__ = [
    "BACKPACK",
    "CURVLINOPS",
    "CURVLINOPS_SEPARATE",
    "KFAC_JAX",
    "NNGEOMETRY",
    "Checkpoint",
    "FactorConvention",
    "FactorSetting",
    "ImportedModule",
    "LayerFactors",
    "LayerPart",
    "LayerScaling",
    "LayerTransformation",
    "ModuleMetric",
    "TransformationReport",
    "UnplaceableModuleError",
    "channel_major",
    "from_convention",
    "from_module",
    "kfac_of_module",
    "layer_scalings",
    "load_digits",
    "load_digits_network",
    "offset_major",
    "open_data",
    "read_arrays",
    "read_data",
    "read_network",
    "read_sequences",
    "to_convention",
    "to_module",
    "transforms_as_metric",
    "write_arrays",
    "write_data",
    "write_network",
]
