"""How the documentation is built: sphinx-build -W docs build/docs."""

import warnings
from importlib.metadata import version as version_of

project = "napari-localdisc"
author = copyright = "The napari-localdisc developers"
release = version = version_of(project)

extensions = [
    "myst_nb",  # Markdown pages, and notebooks that are run
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["photographs/*"]

html_theme = "furo"
html_title = project
html_static_path: list[str] = []
templates_path: list[str] = []
html_theme_options = {
    "source_repository": "https://github.com/napari-localdisc/napari-localdisc/",
    "source_branch": "main",
    "source_directory": "docs/",
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Notebooks are committed without results: building the pages runs them.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False

copybutton_prompt_text = "$ "

# Of the libraries that notebooks are run with, not of ours.
warnings.filterwarnings("ignore", category=DeprecationWarning)
