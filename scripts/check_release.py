"""Check what would be released: python scripts/check_release.py [FOLDER].

Builds the source distribution, and the wheel from the checkout and from that source
distribution; both wheels must hold the same, be under 15 MB with models under 12 MB,
carry a description that the hub can show, and the wheel's manifest must be valid; the
conda recipe must be one that rattler-build can render. Needs
`pip install build twine npe2 py-rattler-build`. The files are left in FOLDER, `dist`
unless given.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEEL_LIMIT, MODELS_LIMIT = 15e6, 12e6


def main(folder: Path) -> int:
    """Build, compare, and say what is wrong; return the exit status."""
    with tempfile.TemporaryDirectory() as name:
        built = Path(name)
        run("build", "--sdist", "--wheel", "--outdir", folder, ROOT)
        wheel, source = newest(folder, "*.whl"), newest(folder, "*.tar.gz")
        run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, source)
        again = newest(built, "*.whl")
        ours, theirs = contents(wheel), contents(again)
        with zipfile.ZipFile(wheel) as archive:
            manifest = archive.extract("napari_localdisc/napari.yaml", built)
        run("npe2", "validate", manifest)  # not of what happens to be installed
    faults = []
    differ = sorted(
        path
        for path in ours.keys() | theirs.keys()
        if ours.get(path) != theirs.get(path)
    )
    if differ:
        faults.append(f"the source distribution builds another wheel: {differ}")
    size = wheel.stat().st_size
    models = sum(
        info.file_size
        for info in zipfile.ZipFile(wheel).infolist()
        if info.filename.endswith(".safetensors")
    )
    print(f"{wheel.name}: {size / 1e6:.1f} MB, models {models / 1e6:.1f} MB")
    print(f"{source.name}: {source.stat().st_size / 1e6:.1f} MB")
    if size > WHEEL_LIMIT:
        faults.append(f"the wheel is larger than {WHEEL_LIMIT / 1e6:.0f} MB")
    if models > MODELS_LIMIT:
        faults.append(f"the models are larger than {MODELS_LIMIT / 1e6:.0f} MB")
    run("twine", "check", "--strict", wheel, source)
    print(f"conda: {', '.join(rendered(ROOT / 'conda' / 'recipe.yaml'))}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def run(module: str, *arguments: str | Path) -> None:
    """Run a Python tool and end with it if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT)


def rendered(recipe: Path) -> list[str]:
    """Return the packages that a recipe makes; a mistake in it is an error."""
    from rattler_build import RenderConfig, Stage0Recipe, VariantConfig

    packages = Stage0Recipe.from_file(recipe).render(VariantConfig(), RenderConfig())
    names = [
        (made.recipe.package.name, made.recipe.package.version) for made in packages
    ]
    return [f"{name} {version}" for name, version in names]


def newest(folder: Path, pattern: str) -> Path:
    """Return the file that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def contents(wheel: Path) -> dict[str, str]:
    """Return a hash of each file; RECORD, which lists them, aside."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if not name.endswith("RECORD")
        }


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").absolute()))
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(map(str, error.cmd[2:]))} failed")
