"""The manifest is valid, and what it names exists."""

from pathlib import Path

from app_model.expressions import safe_eval as eval_expression
from npe2 import PluginManifest

import napari_localdisc
from napari_localdisc.io.labels import FORMATS, format_of

MANIFEST = Path(napari_localdisc.__file__).with_name("napari.yaml")


def test_manifest_is_valid_and_its_commands_can_be_imported():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "napari-localdisc"
    assert {str(category) for category in manifest.categories} >= {
        "Segmentation",
        "Annotation",
    }


def test_widget_is_in_the_menus_of_its_purposes():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    commands = {widget.display_name: widget.command for widget in contributions.widgets}
    for menu in ("napari/layers/segment", "napari/layers/annotate"):
        offered = [item.command for item in contributions.menus[menu]]
        assert commands["Local discrimination"] in offered


def test_writers_are_the_formats_that_there_are():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    offered = {
        writer.display_name: writer.filename_extensions
        for writer in contributions.writers
        if writer.layer_types == ["labels"]
    }
    assert list(offered) == [form.title for form in FORMATS.values()]
    for form in FORMATS.values():
        endings = offered[form.title]
        assert set(endings) >= set(form.endings)
        assert {format_of(f"eye{ending}") for ending in endings} == {form}


def test_manifest_at_the_top_is_the_package_s():
    root = Path(__file__).parents[1]
    link, target = root / "napari.yaml", "src/napari_localdisc/napari.yaml"
    # Where links cannot be, git writes a file that says where the link leads
    says = link.readlink().as_posix() if link.is_symlink() else link.read_text().strip()
    assert says == target
    assert (root / target).read_bytes() == MANIFEST.read_bytes()


def test_the_palette_runs_no_command_that_needs_a_file():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    given = {
        *(each.command for each in contributions.readers),
        *(each.command for each in contributions.writers),
    }
    for command in contributions.commands:
        runs = eval_expression(command.enablement or "True", {})
        assert runs == (command.id not in given), command.id
