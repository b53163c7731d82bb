"""Data files; `geomkfac.interop.datasets` reads them."""
