"""Small PyTorch optimizers, each with one demand or one habit that an audit must cope with."""

from __future__ import annotations

import random
import warnings

import numpy as np
import torch


class Planted(torch.optim.Optimizer):
    """Gradient descent, to be varied."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.change(p, group["lr"])
        return loss

    def change(self, p, lr):
        p.sub_(lr * p.grad)


class NeedsClosure(Planted):
    def step(self, closure=None):
        if closure is None:
            raise ValueError("a closure is required")
        return super().step(closure)


class BreaksOnClosure(Planted):
    def step(self):
        return super().step()


class NeverCallsItsClosure(Planted):
    def step(self, closure=None):
        return super().step()


class NeedsNames(Planted):
    def __init__(self, params, lr=0.1):
        params = list(params)
        if not isinstance(params[0], tuple):
            raise TypeError("parameters must come with their names")
        super().__init__([p for _, p in params], lr)


class NeedsFlags(Planted):
    def __init__(self, params, lr=0.1):
        for group in params:
            if not isinstance(group, dict) or "use_muon" not in group:
                raise ValueError("every group must say use_muon")
        super().__init__(params, lr)


class MatricesAlone(Planted):
    def __init__(self, params, lr=0.1):
        params = list(params)
        if any(p.ndim != 2 for p in params):
            raise ValueError("only matrices, please")
        super().__init__(params, lr)


class NeedsProcessGroup(Planted):
    def step(self, closure=None):
        if torch.distributed.get_world_size() > 1:
            raise RuntimeError("one is enough")
        return super().step(closure)


class Sharpness(torch.optim.Optimizer):
    """Descent by the gradient a little way up, around another optimizer."""

    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, {"rho": rho, **kwargs})
        self.base = base_optimizer(self.param_groups, **kwargs)

    @torch.no_grad()
    def first_step(self):
        for p in self.param_groups[0]["params"]:
            self.state[p]["old"] = p.clone()
            p.add_(0.05 * p.grad)

    @torch.no_grad()
    def second_step(self):
        for p in self.param_groups[0]["params"]:
            p.copy_(self.state[p]["old"])
        self.base.step()


class SharpnessInOne(Sharpness):
    """As the class that is often copied: derivatives must be there before."""

    def step(self, closure):
        self.first_step()
        with torch.enable_grad():
            closure()
        self.second_step()


class TwoStepsAlone(Sharpness):
    def step(self):
        raise NotImplementedError("call first_step and second_step")


class Curvature(Planted):
    """Newton's method in one direction: (1, ..., 1)."""

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            closure()
        params = self.param_groups[0]["params"]
        grads = [p.grad for p in params]
        products = torch.autograd.grad(grads, params, [torch.ones_like(p) for p in params])
        for p, product in zip(params, products, strict=True):
            p.sub_(self.param_groups[0]["lr"] * product)


class CurvatureIfThere(Planted):
    """Takes second derivatives where it can, and says nothing where it cannot."""

    def step(self, closure=None):
        closure()
        if self.param_groups[0]["params"][0].grad.grad_fn is not None:
            return Curvature.step(self, lambda: None)
        return super().step()


class Third(Curvature):
    """Asks for more than second derivatives."""

    def step(self, closure=None):
        with torch.enable_grad():
            closure()
            params = self.param_groups[0]["params"]
            ones = [torch.ones_like(p) for p in params]
            second = torch.autograd.grad([p.grad for p in params], params, ones, create_graph=True)
            torch.autograd.grad(second, params, ones)


class SparseAlone(Planted):
    def change(self, p, lr):
        if not p.grad.is_sparse:
            raise RuntimeError("dense gradients are not supported")


class InBfloat16(Planted):
    def change(self, p, lr):
        p.sub_(lr * p.grad.bfloat16().to(p.dtype))


class StateInFloat32(Planted):
    def change(self, p, lr):
        state = self.state[p]
        state.setdefault("mean", torch.zeros(p.shape, dtype=torch.float32)).mul_(0.9).add_(p.grad)
        p.sub_(lr * state["mean"])


class StubbornlyNarrow(Planted):
    def change(self, p, lr):
        with torch._C.DisableTorchFunction():
            narrow = p.grad.float()
        p.sub_(lr * narrow)


class InHooks(Planted):
    """Changes parameters in the backward pass, in float32."""

    def __init__(self, model, lr=0.1):
        self.lr = lr
        super().__init__(list(model.parameters()), lr)
        for p in self.param_groups[0]["params"]:
            p.register_post_accumulate_grad_hook(self.update)

    @torch.no_grad()
    def update(self, p):
        p.sub_(self.lr * p.grad.to(torch.float32))
        p.grad = None

    def step(self, closure=None):
        raise NotImplementedError

    def fused_backward(self, loss, lr):
        self.lr = lr
        loss.backward()


class Averaging(Planted):
    """Trains y, and is evaluated at their mean."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.training = True
        self.means = [p.detach().clone() for p in self.param_groups[0]["params"]]

    def change(self, p, lr):
        if not self.training:
            raise RuntimeError("call train() before a step")
        super().change(p, lr)

    def step(self, closure=None):
        loss = super().step(closure)
        for mean, p in zip(self.means, self.param_groups[0]["params"], strict=True):
            mean.lerp_(p.detach(), 0.5)
        return loss

    @torch.no_grad()
    def _swap(self):
        for mean, p in zip(self.means, self.param_groups[0]["params"], strict=True):
            kept = p.clone()
            p.copy_(mean)
            mean.copy_(kept)
        self.training = not self.training

    def train(self):
        if not self.training:
            self._swap()

    def eval(self):
        if self.training:
            self._swap()


class Around:
    """A wrapper of an optimizer that is there already."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups

    def step(self, closure=None):
        return self.optimizer.step(closure)


class Talks(Planted):
    def change(self, p, lr):
        print("a step!")
        warnings.warn("beware", stacklevel=1)
        super().change(p, lr)


COUNT = [0]


class Remembers(Planted):
    """Counts over its instances."""

    def change(self, p, lr):
        COUNT[0] += 1
        super().change(p, lr * (1 + 1e-3 * COUNT[0]))


class Draws(Planted):
    def change(self, p, lr):
        p.sub_(lr * (p.grad + 0.1 * torch.randn_like(p) * random.random() * np.random.rand()))


class Idles(Planted):
    """Its first two steps collect, and move nothing."""

    def change(self, p, lr):
        self.state[p]["step"] = self.state[p].get("step", 0) + 1
        if self.state[p]["step"] > 2:
            super().change(p, lr)


class Stays(Planted):
    def change(self, p, lr):
        pass


class TooFast(Planted):
    def __init__(self, params, lr=1e5):
        super().__init__(params, lr)


class Chaotic(Planted):
    def change(self, p, lr):
        p.sub_(lr * p.grad + 1e-4 * torch.sin(1e14 * p))


class Lost(Planted):
    def change(self, p, lr):
        p.mul_(float("nan"))


class MovesWhenMade(Planted):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                p.div_(p.norm())


class WithoutRate(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            p.sub_(0.01 * p.grad)


class OtherRate(Planted):
    """Biases have a rate of their own, and weights a step that sees their coordinates."""

    def __init__(self, params, lr=0.01, lr_bias=0.1):
        super().__init__(params, lr)
        self.lr_bias = lr_bias

    def change(self, p, lr):
        p.sub_(lr * p.grad.sign() if p.ndim == 2 else self.lr_bias * p.grad)


class HiddenRate(Planted):
    def change(self, p, lr):
        p.sub_(lr * p.grad.sign() if p.ndim == 2 else 0.1 * p.grad)


class ModelAndCount(Planted):
    def __init__(self, model, num_iterations, lr=0.1):
        super().__init__(list(model.parameters()), lr)
        self.left = num_iterations
