"""Against what people use: first result and click on the 1411 × 1411 retina.

scikit-image's `multiscale_basic_features` with a random forest is the way of ilastik.

The ViT-S/14 is the architecture of DINOv2 with random weights, which is enough for its
speed: 12 blocks of width 384, 6 heads, patches of 14 pixels, attention by
`scaled_dot_product_attention`.  It sees the image at 574 × 574, the multiple of 14 next
to our working diameter, and gives one vector for each patch of 14 × 14 pixels where
ours gives one a pixel; at the image's own size of 1400 × 1400 it is shown as well.

First result: from the array to what a click shows.  A click: another similarity map
(ours, ViT), or for the forest, which knows no similarity, learning anew from 400
labelled pixels and predicting the image.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn

import napari_localdisc as ld

from .machine import interleaved, retina, table

NEEDS_DATA = False
PATCH, WIDTH, HEADS, DEPTH = 14, 384, 6, 12
SIDES = 574, 1400


class Block(nn.Module):
    """A block of a vision transformer, with DINOv2's layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(WIDTH)) for _ in "12")

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, 384) tokens in and out."""
        batch, count, _ = x.shape
        qkv = self.qkv(self.norms[0](x)).view(batch, count, 3, HEADS, WIDTH // HEADS)
        attended = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        attended = attended.transpose(1, 2).reshape(batch, count, WIDTH)
        x = x + self.scales[0] * self.out(attended)
        return x + self.scales[1] * self.mlp(self.norms[1](x))


class VisionTransformer(nn.Module):
    """ViT-S/14 as in DINOv2: a class token, learned positions, no registers."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        count = (side // PATCH) ** 2 + 1
        self.positions = nn.Parameter(0.02 * torch.randn(1, count, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(1, 3, S, S) → (384, patches) unit vectors."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token, tokens], 1) + self.positions
        return F.normalize(self.norm(self.blocks(tokens))[0, 1:], dim=1).T.contiguous()


class Vit:
    """Embeds the retina by a ViT, and answers clicks."""

    def __init__(self, image: np.ndarray, side: int) -> None:
        self.image, self.side = image, side
        self.network = VisionTransformer(side).eval()
        self.vectors = self.embed()

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Resize the image and run the network."""
        x = torch.from_numpy(self.image).permute(2, 0, 1)[None].float() / 255
        size = (self.side, self.side)
        x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return self.network(x)

    def click(self) -> Tensor:
        """Compare every patch with one of them."""
        return self.vectors[:, self.vectors.shape[1] // 2] @ self.vectors

    def first(self) -> Tensor:
        """Embed, then click."""
        self.vectors = self.embed()
        return self.click()


class Forest:
    """scikit-image's features and a random forest."""

    def __init__(self, image: np.ndarray, truth: np.ndarray) -> None:
        self.image = image
        inside = np.flatnonzero(truth)
        self.chosen = np.random.default_rng(0).choice(inside, 400, replace=False)
        self.given = truth.ravel()[self.chosen]
        self.features = self.compute()

    def compute(self) -> np.ndarray:
        """Return one row of features a pixel."""
        features = multiscale_basic_features(self.image, channel_axis=-1)
        return features.reshape(-1, features.shape[-1])

    def click(self) -> np.ndarray:
        """Learn from 400 pixels and predict the image."""
        forest = RandomForestClassifier(
            50, max_depth=10, max_samples=0.05, n_jobs=-1, random_state=0
        )
        forest.fit(self.features[self.chosen], self.given)
        return forest.predict(self.features)

    def first(self) -> np.ndarray:
        """Compute the features, then learn and predict."""
        self.features = self.compute()
        return self.click()


def run() -> str:
    """Measure first results and clicks in turn."""
    image, model = retina(), ld.load_model("fundus")
    embedding = ld.embed(image, model)
    forest = Forest(image, embedding.clusters(3))
    small, large = (Vit(image, side) for side in SIDES)
    strokes = np.zeros(embedding.shape, np.uint8)
    strokes.ravel()[forest.chosen] = forest.given
    rng = np.random.default_rng(0)
    middle = np.array(embedding.shape) // 2

    def click() -> object:
        return embedding.similarity_on_grid([middle + rng.integers(-100, 100, 2)])

    def first() -> object:
        return ld.embed(image, model).similarity_on_grid([middle])

    seconds = interleaved(
        {
            "ours": first,
            "vit": small.first,
            "vit large": large.first,
            "forest": forest.first,
            "ours click": click,
            "vit click": small.click,
            "vit large click": large.click,
            "forest click": forest.click,
            "ours learn": lambda: ld.learn(embedding, strokes).predict(embedding),
        }
    )
    names = {
        "ours": ("napari-localdisc", f"{embedding.matrix.shape[1]:,} pixels"),
        "vit": ("ViT-S/14 at 574 × 574, random weights", "1,681 patches"),
        "vit large": ("ViT-S/14 at 1400 × 1400, random weights", "10,000 patches"),
        "forest": ("multiscale_basic_features + random forest", "1,990,921 pixels"),
    }
    rows: list[tuple[object, ...]] = []
    for key, (name, what) in names.items():
        later = seconds[f"{key} click"]
        rows.append(
            (
                name,
                what,
                f"{seconds[key]:.2f}",
                f"{seconds[key] / seconds['ours']:.1f}",
                f"{1000 * later:.1f}",
                f"{later / seconds['ours click']:.1f}",
            )
        )
    learn = seconds["ours learn"]
    return table(
        "what | vectors | first result, s | of ours | a click, ms | of ours", rows
    ) + (
        f"\n\nLearning from the same 400 pixels and predicting the image takes us "
        f"{learn:.2f} s, the forest {seconds['forest click'] / learn:.1f} times that."
    )
