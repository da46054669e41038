"""What no training and no evaluation of these sizes can go below: the matrix products alone."""

import time

import torch
from nets import BATCH, LATENT
from torch import Tensor
from worker import Watch


def training(watch: Watch, *, steps: int, hidden: int, size: int = 784) -> None:
    """The products of one step, forward and backward, and one fused Adam step over all weights as one vector."""
    shapes = [(hidden, size), (2 * LATENT, hidden), (hidden, LATENT), (size, hidden)]
    sizes = [rows * columns for rows, columns in shapes]
    biases = sum(rows for rows, _ in shapes)
    flat = torch.randn(sum(sizes) + biases, device=watch.device).mul_(0.01).requires_grad_()
    flat.grad = torch.full_like(flat, 1e-3)
    optimizer = torch.optim.Adam([flat], lr=1e-3, fused=True)

    def parts(vector: Tensor) -> list[Tensor]:
        split = vector.detach().split([*sizes, biases])
        return [part.view(shape) for part, shape in zip(split, shapes, strict=False)]

    down, code, up, out = parts(flat)
    d_down, d_code, d_up, d_out = parts(flat.grad)
    x, d_y = torch.rand(BATCH, size, device=watch.device), torch.rand(BATCH, size, device=watch.device)
    d_e = torch.rand(BATCH, 2 * LATENT, device=watch.device)
    h, e, u, y = (torch.empty(BATCH, width, device=watch.device) for width in (hidden, 2 * LATENT, hidden, size))
    d_h, d_u = torch.empty_like(h), torch.empty_like(u)
    z, d_z = e[:, :LATENT], d_e[:, :LATENT]
    while True:
        for _ in range(steps):
            torch.mm(x, down.T, out=h)
            torch.mm(h, code.T, out=e)
            torch.mm(z, up.T, out=u)
            torch.mm(u, out.T, out=y)
            torch.mm(d_y.T, u, out=d_out)
            torch.mm(d_y, out, out=d_u)
            torch.mm(d_u.T, z, out=d_up)
            torch.mm(d_u, up, out=d_z)
            torch.mm(d_e.T, h, out=d_code)
            torch.mm(d_e, code, out=d_h)
            torch.mm(d_h.T, x, out=d_down)
            optimizer.step()
        watch.lap(steps)


@torch.inference_mode()
def likelihood(watch: Watch, *, items: int, samples: int, hidden: int = 400, size: int = 784) -> None:
    """The decoder's two products for every draw of every item, in the chunks that are fastest here."""
    up = torch.randn(LATENT, hidden, device=watch.device)
    out = torch.randn(hidden, size, device=watch.device)

    def decode(rows: int, count: int) -> float:
        z = torch.randn(rows, LATENT, device=watch.device)
        h, y = torch.empty(rows, hidden, device=watch.device), torch.empty(rows, size, device=watch.device)
        started = time.perf_counter()
        for _ in range(count):
            torch.mm(z, up, out=h)
            torch.mm(h, out, out=y)
        watch.wait()
        return time.perf_counter() - started

    draws = items * samples
    best = min((500, 1000, 2000), key=lambda rows: min(decode(rows, 20_000 // rows) for _ in range(5)))
    while True:
        decode(best, draws // best)
        watch.lap(items)
