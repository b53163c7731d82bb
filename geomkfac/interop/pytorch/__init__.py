"""PyTorch modules as abstract networks, and back.

`from_module` finds the network that a module computes, with its weights and its frames; `to_module` makes a
module of a network, with parameters in any frames; `kfac_of_module` takes the metric of layers of a module that
no network here has.  Data and weights stand in PyTorch's layout outside, (N, channels, *grid), and as this package
has them inside, (N, *grid, channels).  PyTorch is imported when one of these is called.
"""
