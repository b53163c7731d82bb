"""Data files, which `geomkfac.interop.datasets` reads, and templates of pages, for `geomkfac.display`."""
