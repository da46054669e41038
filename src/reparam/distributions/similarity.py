r"""Structural similarity of images (SSIM) and its multi-scale form, differentiable, for any image size.

Source:
    Image quality assessment: from error visibility to structural similarity (Wang et al., 2004), eq. 13, with a
    Gaussian window of sigma 1.5; Multiscale structural similarity (Wang et al., 2003), eq. 7. Windows shrink to fit
    small images, and as many scales are used as the image has room for.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def _window(size: int, like: Tensor, sigma: float = 1.5) -> Tensor:
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    return weights / weights.sum()


def _blur(images: Tensor) -> Tensor:
    """Separable Gaussian filter without padding; at most 11 pixels wide, odd, never wider than the image."""
    channels = images.shape[1]
    for axis in (2, 3):
        size = min(11, images.shape[axis] - 1 + images.shape[axis] % 2)
        shape = (1, 1, size, 1) if axis == 2 else (1, 1, 1, size)
        kernel = _window(size, images).reshape(shape).expand(channels, *shape[1:])
        images = F.conv2d(images, kernel, groups=channels)
    return images


def _luminance_and_structure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure per image, (N,), for values in [0, 1]."""
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y, xx, yy, xy = _blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    cov, var_x, var_y = xy - mean_x * mean_y, xx - mean_x.square(), yy - mean_y.square()
    structure = (2 * cov + c2) / (var_x + var_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    return (luminance * structure).flatten(1).mean(1), structure.flatten(1).mean(1)


def ssim(x: Float[Tensor, "*N C H W"], y: Float[Tensor, "*N C H W"]) -> Float[Tensor, "*N"]:
    """Structural similarity per image, 1 for equal images; values are taken as lying in [0, 1]."""
    batch, image = x.shape[:-3], x.shape[-3:]
    return _luminance_and_structure(x.reshape(-1, *image), y.reshape(-1, *image))[0].reshape(batch)


def ms_ssim(x: Float[Tensor, "*N C H W"], y: Float[Tensor, "*N C H W"]) -> Float[Tensor, "*N"]:
    r"""Multi-scale structural similarity per image: contrast-structure at each scale, luminance at the coarsest.

    Up to five scales, as many as keep the shorter side at 11 pixels or more; the weights are renormalised.
    """
    batch, image = x.shape[:-3], x.shape[-3:]
    x, y = x.reshape(-1, *image), y.reshape(-1, *image)
    scales = 1
    while scales < len(MS_WEIGHTS) and min(image[1:]) // 2**scales >= 11:
        scales += 1
    weights = torch.tensor(MS_WEIGHTS[:scales], dtype=x.dtype, device=x.device)
    weights = weights / weights.sum()
    log_score = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
    for scale in range(scales):
        whole, structure = _luminance_and_structure(x, y)
        term = whole if scale == scales - 1 else structure
        log_score = log_score + weights[scale] * term.clamp_min(1e-6).log()
        if scale < scales - 1:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return log_score.exp().reshape(batch)
