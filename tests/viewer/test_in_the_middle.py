"""Whatever happens in the middle of an operation: no stale result, no lost labels."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.errors import ImageError, LocalDiscError
from napari_localdisc.viewer.concepts import Concepts
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.embeddings import EmbeddingStore
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.session import Sessions


class Scene:
    """An image with labels, strokes and a prompt, and work that waits for the test."""

    def __init__(self, models, picture, stepped, tmp_path) -> None:
        self.models, self.picture, self.stepped = models, picture, stepped
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(picture, name="eye")
        self.spare = self.viewer.add_image(picture[::-1].copy(), name="spare")
        self.reports: list[Exception] = []
        controller = Controller(self.viewer, stepped, self.reports.append)
        self.controller = controller
        controller.workspace.images.choose(self.image)
        controller.set_model("tiny")
        self.sessions = Sessions(controller)
        self.concepts = Concepts(controller, self.sessions)
        self.scripts = Scripts(controller, self.sessions)
        self.folder = tmp_path
        self.finish()
        controller.writing.add_structure("vessel")
        self.finish()
        controller.prompts.add((12, 30))
        controller.strokes.start()
        self.strokes = controller.strokes.layer
        self.paint((10, 10), 1)
        self.paint((35, 30), 2)
        self.finish()
        assert controller.strokes.learned is not None
        assert not self.reports
        self.labels = controller.labels_layer
        self.kept = self.labels.data.copy()

    def paint(self, at, value) -> None:
        with self.strokes.block_history():
            self.strokes.paint(at, value)

    def forget(self) -> None:
        """Let every operation wait: nothing is in memory."""
        self.controller.workspace.embeddings.store = EmbeddingStore()

    def finish(self) -> None:
        """Do all work that waits, also what it leads to."""
        done = 0
        while done < len(self.stepped.runs):
            self.stepped.finish(done)
            done += 1
        self.stepped.runs.clear()


@pytest.fixture(scope="module")
def concept_file(saved_models, tmp_path_factory):
    """What a click on another image means."""
    import napari_localdisc as ld
    from napari_localdisc.core.learning.concept import Concept

    noise = np.random.default_rng(5).random((48, 40, 3), dtype=np.float32)
    embedding = ld.embed(noise, ld.load_model(saved_models / "tiny.safetensors"))
    folder = tmp_path_factory.mktemp("concept")
    return Concept.from_prompts("disc", embedding, [(12, 30)]).save(folder / "disc")


@pytest.fixture
def scene(models, picture, stepped, tmp_path):
    scene = Scene(models, picture, stepped, tmp_path)
    yield scene
    scene.controller.close()


OPERATIONS = {
    "concept": lambda s: s.concepts.apply_file(s.concept_file),
    "session": lambda s: s.sessions.save(s.folder / "mine"),
    "script": lambda s: s.scripts.write(),
    "clusters": lambda s: s.controller.clusters.show(),
    "prompt": lambda s: s.controller.prompts.add((20, 20)),
    "threshold": lambda s: s.controller.prompts.set_options(threshold=0.3),
    "map": lambda s: s.controller.clusters.show_structure("vessel"),
    "mask into labels": lambda s: s.controller.prompts.add_mask(),
    "clusters into labels": lambda s: s.controller.clusters.add([1, 2]),
    "structure into labels": lambda s: s.controller.writing.add_structure("vessel"),
    "prediction into labels": lambda s: s.controller.strokes.accept(),
    "stroke": lambda s: s.paint((20, 20), 1),
}
EVENTS = {
    "image removed": lambda s: s.viewer.layers.remove(s.image),
    "labels removed": lambda s: s.viewer.layers.remove(s.labels),
    "strokes removed": lambda s: s.viewer.layers.remove(s.strokes),
    "all renamed": lambda s: [
        setattr(layer, "name", f"{at}") for at, layer in enumerate(s.viewer.layers)
    ],
    "another image": lambda s: s.controller.workspace.images.choose(s.spare),
    "another model": lambda s: s.controller.set_model("other"),
    "other data": lambda s: setattr(s.image, "data", s.picture[::-1].copy()),
    "other size": lambda s: setattr(s.image, "data", s.picture[:40].copy()),
    "undone": lambda s: s.controller.undo(),
    "cancelled": lambda s: s.controller.workspace.cancel(),
    "closed": lambda s: s.controller.close(),
    "all removed": lambda s: s.viewer.layers.clear(),
}


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_is_lost_and_nothing_stale(scene, concept_file, event):
    """All operations are under way when it happens."""
    scene.concept_file = concept_file
    scene.forget()
    for operation in OPERATIONS.values():
        operation(scene)
    runs = scene.stepped.runs
    for run in range(0, len(runs), 2):  # some have not begun
        scene.stepped.step(run)
    EVENTS[event](scene)
    layers = list(scene.viewer.layers)
    scene.finish()
    assert not scene.controller.workspace.work.is_busy
    assert not scene.controller.strokes.work.is_busy
    # Whatever is said is a sentence for the user
    assert all(isinstance(error, LocalDiscError) for error in scene.reports)
    had = scene.kept > 0
    np.testing.assert_array_equal(scene.labels.data[had], scene.kept[had])
    if scene.image not in scene.viewer.layers or event in ("closed", "cancelled"):
        np.testing.assert_array_equal(scene.labels.data, scene.kept)
        came = [layer for layer in scene.viewer.layers if layer not in layers]
        assert not came or event == "cancelled"
    if event not in ("labels removed", "all removed"):
        assert scene.labels in scene.viewer.layers
    if event == "all renamed":  # nothing is found by its name
        assert (scene.labels.data > 0).sum() > had.sum()
        assert scene.controller.clusters.layer is not None


def test_two_viewers_at_once(models, picture, tmp_path):
    """Operations of one are neither seen nor stopped by the other."""
    from tests.conftest import SteppedRunner

    one, two = (
        Scene(models, picture, SteppedRunner(), tmp_path / str(at)) for at in range(2)
    )
    for name, operation in OPERATIONS.items():
        if name in ("concept", "session", "script"):
            continue
        one.forget()
        before = [(layer.name, layer.data) for layer in two.viewer.layers]
        kept = two.labels.data.copy()
        operation(one)
        one.finish()
        assert len(two.viewer.layers) == len(before), name
        np.testing.assert_array_equal(two.labels.data, kept)
        assert two.controller.strokes.learned is not None, name
    one.controller.close()
    two.controller.prompts.add((5, 5))
    two.finish()
    assert len(two.controller.prompts.points) == 2
    two.controller.close()
    with pytest.raises(ImageError):
        Controller(ViewerModel()).clusters.show()
