"""Convolutions whose gradients cost no more than they must."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class NormalisedConvolution(nn.Conv2d):
    """A 3×3 convolution that a batch norm follows directly.

    In training mode the norm subtracts the mean, and with it whatever the bias added:
    the bias has no gradient.  Processors spend up to a third of the backward pass on
    it all the same, and rounding errors let Adam push it about; here it is zero.

    Parameters
    ----------
    channels_in, channels_out : int
        As of `torch.nn.Conv2d`.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Convolve (B, C, H, W)."""
        assert self.bias is not None
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        values = input, self.weight, self.bias
        kind = input.device.type
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            values = input.to(dtype), self.weight.to(dtype), self.bias.to(dtype)
        result: Tensor = _BiasWithoutGradient.apply(*values)  # type: ignore[no-untyped-call]
        return result


class _BiasWithoutGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        )
        of_bias = torch.zeros_like(bias) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
