"""Files, data sets, PyTorch modules, and the factors of other libraries."""

from __future__ import annotations

from geomkfac.interop.checkpoint import Checkpoint
from geomkfac.interop.conventions import channel_major, offset_major
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
from geomkfac.interop.libraries import (
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
from geomkfac.interop.libraries_forms import from_convention, layer_scalings, to_convention
from geomkfac.interop.libraries_report import LayerTransformation, TransformationReport, transforms_as_metric
from geomkfac.interop.mapped_files import open_data
from geomkfac.interop.torch_modules import (
    ImportedModule,
    LayerPart,
    ModuleMetric,
    UnplaceableModuleError,
    from_module,
    kfac_of_module,
    to_module,
)

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
