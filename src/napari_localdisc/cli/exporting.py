"""What `localdisc export` does: files of labels → files of another format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_localdisc.batch.tasks import Outcome, State, Task, stem_of
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.io.labels import FORMATS, read_labels, write_coco

from .output import Bar, WrongUse

if TYPE_CHECKING:
    from napari_localdisc.io.labels import Colour, LabelMap


@dataclass
class Exporter:
    """Writes labels one file at a time; a bad one does not stop the rest.

    Attributes
    ----------
    output : Path
        Folder, or one ``.json`` file for all images.
    form : str
        Key of the format; empty: the output's ending decides.
    names, colours : dict
        Of labels, beside those that the files bring.
    segmentation : str
        For COCO.
    overwrite, dry_run : bool
        Replace files that are there; only say what would be written.
    """

    output: Path
    form: str = ""
    names: dict[int, str] = field(default_factory=dict)
    colours: "dict[int, Colour]" = field(default_factory=dict)
    segmentation: str = "auto"
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        self.is_one_file = self.output.suffix.lower() == ".json"
        key = self.form or ("coco" if self.is_one_file else "png")
        if key not in FORMATS:
            known = ", ".join(FORMATS)
            raise WrongUse(f"There is no format {key!r}; there are {known}.")
        if self.is_one_file and key != "coco":
            raise WrongUse(f"{self.output} is for COCO; give a folder for {key}.")
        if self.segmentation not in ("auto", "polygon", "rle"):
            raise WrongUse(
                f"--segmentation is auto, polygon or rle, not {self.segmentation}."
            )
        self._format = FORMATS[key]

    def run(self, sources: list[Path], show: Bar) -> list[Outcome]:
        """Write everything; say what became of each source."""
        if not self.is_one_file:
            return list(self._each(sources, show, self._write_all))
        if self.output.exists() and not self.overwrite and not self.dry_run:
            raise FileError(f"{self.output} is there already; --overwrite replaces it.")
        images: list[LabelMap] = []

        def collect(source: Path, found: "list[LabelMap]") -> Iterator[Outcome]:
            for labels in found:
                self._format.check(labels)
            images.extend(
                replace(labels, image=labels.image or source.name) for labels in found
            )
            state: State = "planned" if self.dry_run else "written"
            yield Outcome(Task(source, (self.output,)), state)

        outcomes = list(self._each(sources, show, collect))
        if images and not self.dry_run:
            write_coco(self.output, images, self.segmentation)
        return outcomes

    def _each(
        self,
        sources: list[Path],
        show: Bar,
        write: "Callable[[Path, list[LabelMap]], Iterator[Outcome]]",
    ) -> Iterator[Outcome]:
        for index, source in enumerate(sources):
            show(index, source.name)
            try:
                yield from write(source, [self._named(m) for m in read_labels(source)])
            except LocalDiscError as error:
                yield Outcome.failed(Task(source, ()), str(error))

    def _named(self, labels: "LabelMap") -> "LabelMap":
        return replace(
            labels,
            names={**labels.names, **self.names},
            colours={**labels.colours, **self.colours},
        )

    def _write_all(self, source: Path, found: "list[LabelMap]") -> Iterator[Outcome]:
        for labels in found:
            self._format.check(labels)
            yield self._write(source, labels)

    def _write(self, source: Path, labels: "LabelMap") -> Outcome:
        stem = Path(labels.image).stem if source.suffix == ".json" else stem_of(source)
        target = self.output / f"{stem}{self._format.endings[0]}"
        targets = self._format.targets(target, labels)
        task = Task(source, tuple(targets))
        there = [path for path in targets if path.exists()]
        if source.resolve() in {path.resolve() for path in there}:
            raise FileError(f"{source} would replace itself: choose another folder.")
        if there and not self.overwrite:
            for path in there:
                if path.stat().st_mtime < source.stat().st_mtime:
                    raise FileError(
                        f"{path} is there already and older than {source}: "
                        "--overwrite replaces it."
                    )
            if len(there) == len(targets):
                return Outcome(task, "skipped")
        if self.dry_run:
            return Outcome(task, "planned")
        if self._format.key == "coco":
            files = write_coco(target, [labels], self.segmentation)
        else:
            files = self._format.write(target, labels)
        return Outcome(Task(source, tuple(files)), "written")
