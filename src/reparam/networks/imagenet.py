"""The convolutions of networks for ImageNet, module by module, with the names that torchvision gives them."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128)}
FIRES |= {9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
# expansion, channels, blocks, stride of the first block
INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class Fire(nn.Module):
    """A narrow 1x1 convolution, and a 1x1 and a 3x3 one side by side on what it gives.

    Shapes:
        x: (N, channels, H, W)  ->  (N, 2 * wide, H, W)
    Args:
        channels: Channels of x.
        narrow: Channels of the first convolution.
        wide: Channels of each of the two others.
    """

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H W"]:
        h = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(h)), F.relu(self.expand3x3(h))], 1)


def squeezenet() -> Iterator[nn.Module]:
    """SqueezeNet 1.1: 13 modules, 722,496 weights; from 3 channels to 512 on maps of a sixteenth of each side, about.

    Source:
        SqueezeNet (Iandola et al., 2016), arXiv:1602.07360, in the version 1.1 that its authors gave out later.
    """
    yield nn.Conv2d(3, 64, 3, 2)
    yield nn.ReLU()
    for number in range(2, 13):
        yield Fire(*FIRES[number]) if number in FIRES else nn.MaxPool2d(3, 2, ceil_mode=True)


def vgg(blocks: tuple[int, ...]) -> Iterator[nn.Module]:
    """VGG: blocks of 3x3 convolutions with a ReLU behind each, and a pooling behind each block.

    Args:
        blocks: Convolutions of each block; (2, 2, 3, 3, 3) for 16 layers, (2, 2, 4, 4, 4) for 19.
    Source:
        Very deep convolutional networks (Simonyan & Zisserman, 2015), arXiv:1409.1556, table 1, D and E.
    """
    before = 3
    for number, count in enumerate(blocks):
        for _ in range(count):
            width = min(512, 64 << number)
            yield nn.Conv2d(before, width, 3, padding=1)
            yield nn.ReLU()
            before = width
        yield nn.MaxPool2d(2)


def _normed(before: int, width: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, width, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Widens by a 1x1 convolution, filters each channel, narrows by another 1x1 one; added to x where shapes agree.

    Shapes:
        x: (N, channels, H, W)  ->  (N, width, H / stride, W / stride), rounded up
    Args:
        channels: Channels of x.
        width: Channels of what it gives.
        stride: Stride of the filters.
        expansion: How many times as wide it is inside.
    """

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = channels * expansion
        widen = [] if expansion == 1 else [_normed(channels, inside, 1)]
        narrow = [nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.conv = nn.Sequential(*widen, _normed(inside, inside, 3, stride, groups=inside), *narrow)
        self.adds = stride == 1 and channels == width

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:
        h: Tensor = self.conv(x)
        return x + h if self.adds else h


def mobilenet_v2() -> Iterator[nn.Module]:
    """MobileNet V2: 19 modules; from 3 channels to 1280 on maps of a 32nd of each side.

    Source:
        MobileNetV2 (Sandler et al., 2018), arXiv:1801.04381, table 2.
    """
    yield _normed(3, 32, 3, 2)
    before = 32
    for expansion, width, count, stride in INVERTED:
        for number in range(count):
            yield InvertedResidual(before, width, 1 if number else stride, expansion)
            before = width
    yield _normed(before, 1280, 1)
