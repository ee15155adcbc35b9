"""Files for other places say the same as pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT / "conda").is_dir():
    pytest.skip("recipes are in the repository only", allow_module_level=True)

CONDA_NAMES = {
    "dask[array]": "dask-core",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def split(requirement: str) -> tuple[str, str]:
    return re.fullmatch(r"([\w\[\]-]+) ?(.*)", requirement).groups()


def test_conda_recipe_asks_for_the_same_versions():
    import yaml

    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text())
    asked = dict(split(line) for line in recipe["requirements"]["run"])
    expected = dict(split(each) for each in project()["dependencies"])
    expected = {CONDA_NAMES.get(name, name): v for name, v in expected.items()}
    assert asked == expected | {"python": project()["requires-python"]}


@pytest.mark.parametrize("name", ["tests", "release"])
def test_workflows_run_commands_that_there_are(name):
    import yaml

    workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    runs = [
        step["run"]
        for job in workflow["jobs"].values()
        for step in job.get("steps", ())
        if "run" in step
    ]
    assert runs
    for script in re.findall(r"scripts/\w+\.py", "\n".join(runs)):
        assert (ROOT / script).is_file()
    extras = project()["optional-dependencies"]
    matrix = workflow["jobs"].get("matrix")
    if matrix:
        assert set(matrix["strategy"]["matrix"]["qt"]) <= set(extras)
        wanted = {"3.11", "3.12", "3.13"}
        assert set(matrix["strategy"]["matrix"]["python"]) == wanted


def test_what_the_readme_points_at_is_there():
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert all(
        target.startswith("https://") for target in targets
    )  # the hub has no files
    pictures = [
        re.search(r"/main/(.+)", t)[1] for t in targets if "/raw" in t or "raw." in t
    ]
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file()
    pages = {
        found[1]
        for target in targets
        if (found := re.search(r"github\.io/napari-localdisc/(.+)\.html", target))
    }
    assert pages
    for page in pages:
        assert (ROOT / "docs" / f"{page}.md").is_file()
    for command in re.findall(r"^localdisc (\S+)", readme, re.MULTILINE):
        assert (ROOT / "src/napari_localdisc/cli/commands" / f"{command}.py").is_file()


def test_every_public_name_is_in_the_documentation():
    import napari_localdisc

    api = (ROOT / "docs" / "api.md").read_text()
    told = set(re.findall(r"^\.\. auto\w+:: (\w+)$", api, re.MULTILINE))
    assert told == set(napari_localdisc.__all__) - {"__version__"}


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    named = set(re.findall(r"^([\w/]+)$", index, re.MULTILINE))
    docs = ROOT / "docs"
    pages = [*docs.glob("*.md"), *docs.glob("notebooks/*.ipynb")]
    there = {str(page.relative_to(docs).with_suffix("")) for page in pages}
    assert there - {"index"} <= named
