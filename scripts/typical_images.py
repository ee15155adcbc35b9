"""Measure what a model's training images look like: NAME.typical.json beside it.

python scripts/typical_images.py FOLDER MODEL
"""

from __future__ import annotations

import argparse
import json
from importlib import resources
from pathlib import Path

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.image.typical import Looks
from napari_localdisc.core.image.working import look
from napari_localdisc.io.labelled import labelled_images

MOST = 300


def main() -> None:
    """Write the 1st and 99th percentile of each measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model")
    arguments = parser.parse_args()
    card = ld.load_model(arguments.model).card
    every = labelled_images(arguments.folder)
    found = []
    for labelled in every[:: max(1, len(every) // MOST)]:
        image = ld.read_image(labelled.path)
        seen = look(image, card.modality, card.working_diameter)
        found.append(Looks.of(seen.colour, seen.inside).as_dict())
    typical = {
        name: np.percentile([looks[name] for looks in found], (1, 99)).round(4).tolist()
        for name in found[0]
    }
    models = Path(str(resources.files("napari_localdisc") / "data" / "models"))
    path = models / f"{card.name}.typical.json"
    measured = {"scale": [card.modality, card.working_diameter], "looks": typical}
    path.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(found)} images, {typical}")


if __name__ == "__main__":
    main()
