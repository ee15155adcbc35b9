"""Concepts: what was learned on this image, saved and found in others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QPushButton, QWidget

from .section import Section

if TYPE_CHECKING:
    from napari_localdisc.concept_control import Concepts
    from napari_localdisc.controller import Controller

SUFFIX = ".concept.safetensors"
FILTER = f"Concept (*{SUFFIX})"


class ConceptSection(Section):
    """Two buttons with menus: what to save, and where to look for it.

    Parameters
    ----------
    controller : Controller
        Says when there is something to save.
    concepts : Concepts
        Saves and applies.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self,
        controller: Controller,
        concepts: Concepts,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("The same on other images", parent=parent)
        self._controller = controller
        self._concepts = concepts
        self.save_button = QPushButton("Save concept")
        self.save_button.setToolTip(
            "Save what you look for as a small file, for other images of this model"
        )
        save_menu = QMenu(self)
        self.save_prompts = QAction("What the clicks mean…", self)
        self.save_classes = QAction("What the strokes taught…", self)
        self.save_prompts.setToolTip(
            "What several clicks correct around themselves stays with this image"
        )
        save_menu.setToolTipsVisible(True)
        save_menu.addActions([self.save_prompts, self.save_classes])
        self.save_button.setMenu(save_menu)
        self.apply_button = QPushButton("Apply concept")
        self.apply_button.setToolTip("Find what was saved; it becomes a labels layer")
        apply_menu = QMenu(self)
        self.apply_here = QAction("To this image…", self)
        self.apply_to_all = QAction("To all open images…", self)
        apply_menu.addActions([self.apply_here, self.apply_to_all])
        self.apply_button.setMenu(apply_menu)
        row = QHBoxLayout()
        row.addWidget(self.save_button)
        row.addWidget(self.apply_button)
        self.body.addLayout(row)
        self.save_prompts.triggered.connect(self._save_prompts)
        self.save_classes.triggered.connect(self._save_classes)
        self.apply_here.triggered.connect(self._apply_here)
        self.apply_to_all.triggered.connect(self._apply_to_all)
        save_menu.aboutToShow.connect(self._show_enabled)
        controller.image_changed.connect(self._show_enabled)
        controller.prompts_changed.connect(self._show_enabled)
        self._show_enabled()

    def _show_enabled(self) -> None:
        kinds = self._concepts.kinds
        self.save_prompts.setEnabled("prompts" in kinds)
        self.save_classes.setEnabled("classifier" in kinds)
        has_image = self._controller.image is not None
        self.save_button.setEnabled(has_image)
        self.apply_button.setEnabled(has_image)

    def _ask_where(self) -> tuple[str, str]:
        """Ask for a file; its name is the concept's."""
        chosen = self._controller.classes.chosen
        name = "concept" if chosen is None else chosen.name
        path, _ = QFileDialog.getSaveFileName(
            self, "Save concept", f"{name}{SUFFIX}", FILTER
        )
        given = Path(path).name
        return given.removesuffix(SUFFIX).removesuffix(".safetensors"), path

    def _save_prompts(self) -> None:
        name, path = self._ask_where()
        if path:
            self._concepts.save_prompts(name, path)

    def _save_classes(self) -> None:
        name, path = self._ask_where()
        if path:
            self._concepts.save_classes(name, path)

    def _apply(self, to_all: bool) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Apply concept", "", FILTER)
        if path:
            self._concepts.apply_file(path, to_all)

    def _apply_here(self) -> None:
        self._apply(to_all=False)

    def _apply_to_all(self) -> None:
        self._apply(to_all=True)
