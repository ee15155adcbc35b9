"""Record what other programs measure in two masks: ``independent_measures.json``.

Run in an environment of its own, which the project does not have::

    pip install skan PVBM scikit-image
    python make_independent_measures.py

The masks are the vessels that the bundled model finds in the sample photograph and a
tree that was drawn.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from PVBM.CentralRetinalAnalysis import CREVBMs
from PVBM.FractalAnalysis import MultifractalVBMs
from PVBM.GeometricalAnalysis import GeometricalVBMs
from scipy import ndimage
from skan import Skeleton, summarize
from skimage.measure import perimeter_crofton
from skimage.morphology import skeletonize

HERE = Path(__file__).parent
CALIBRES = ([6, 10, 8, 4, 9, 7], [12, 11, 9.5, 8, 7, 6])


def figures(mask: np.ndarray) -> dict[str, dict[str, float]]:
    """Measure one mask by each program."""
    thin = skeletonize(mask, method="lee") > 0
    distance = ndimage.distance_transform_edt(mask)
    skeleton = Skeleton(thin)
    branches = summarize(skeleton, separator="-")
    long = branches[branches["branch-distance"] > 10]
    ratio = long["branch-distance"] / long["euclidean-distance"]
    degrees = skeleton.degrees
    by_skan = {
        "branches": len(branches),
        "length of pixel paths": branches["branch-distance"].sum(),
        "end points": int((degrees == 1).sum()),
        "median arc over chord of branches over 10 pixels": ratio.median(),
        "median of twice the distance to the background minus 1": 2
        * np.median(distance[thin])
        - 1,
    }
    geometry = GeometricalVBMs()
    ends, crossings, *_ = geometry.compute_particular_points(thin.astype(float))
    tortuosity, chords, _, arcs, _ = geometry.compute_tortuosity_length(
        thin.astype(float)
    )
    angles = geometry.compute_branching_angles(thin.astype(float))
    side = max(mask.shape)
    square = np.zeros((side, side))
    square[: mask.shape[0], : mask.shape[1]] = mask
    dimensions = MultifractalVBMs(optimize=False).compute_multifractals(square)
    perimeter, _ = geometry.compute_perimeter(mask.astype(float))
    by_pvbm = {
        "area": geometry.area(mask),
        "end points": ends,
        "intersection pixels": crossings,
        "median tortuosity": tortuosity,
        "sum of chords": chords,
        "sum of arcs": np.sum(arcs),
        "median branching angle": angles[2],
        "mean branching angle": angles[0],
        "dimension D0": dimensions[0],
        "perimeter": perimeter,
    }
    by_scikit = {"perimeter by Crofton": perimeter_crofton(mask, 4)}
    every = {"skan": by_skan, "PVBM": by_pvbm, "scikit-image": by_scikit}
    return {
        name: {key: float(value) for key, value in values.items()}
        for name, values in every.items()
    }


def main() -> None:
    """Write the figures beside this file."""
    masks = {
        path.stem: np.asarray(Image.open(path)) > 0
        for path in sorted((HERE / "measures").glob("*.png"))
    }
    central = CREVBMs()
    arteries, veins = CALIBRES
    found = {
        "versions": {
            name: version(name) for name in ("skan", "PVBM", "scikit-image", "numpy")
        },
        "python": sys.version.split()[0],
        "masks": {name: figures(mask) for name, mask in masks.items()},
        "equivalents": {
            "arteries": arteries,
            "veins": veins,
            "CRAE": central.central_equivalent(arteries, central.crae_knudtson),
            "CRVE": central.central_equivalent(veins, central.crve_knudtson),
        },
    }
    text = json.dumps(found, indent=1, default=float)
    (HERE / "independent_measures.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
