"""Tools for the latent space: interpolation, traversal, the decoded grid, projection.

They ask a model for ``infer`` and ``decode`` and for nothing else, so they serve every model that has both.
"""

from reparam.latents.codes import HasLatents, decoded_means, onto_space, posterior_means
from reparam.latents.completing import Completion, complete
from reparam.latents.inversion import inverted
from reparam.latents.paths import PATHS, interpolate
from reparam.latents.projections import Projection, project
from reparam.latents.swapping import swap
from reparam.latents.tiles import by_tiles, decode_by_tiles, encode_by_tiles, reconstruct_by_tiles
from reparam.latents.walks import grid, traverse

__all__ = [
    "PATHS",
    "Completion",
    "HasLatents",
    "Projection",
    "by_tiles",
    "complete",
    "decode_by_tiles",
    "decoded_means",
    "encode_by_tiles",
    "grid",
    "interpolate",
    "inverted",
    "onto_space",
    "posterior_means",
    "project",
    "reconstruct_by_tiles",
    "swap",
    "traverse",
]
