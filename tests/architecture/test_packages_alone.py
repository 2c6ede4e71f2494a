"""Each package imports when it is installed alone: as a wheel, with the dependencies it declares and no others.

In the workspace's environment everything is importable, so a dependency that a manifest forgets goes unseen until a
user installs that one package. Here each gets an environment of its own, at the versions of uv.lock.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import PACKAGES, ROOT, Package

UV = ROOT / ".tools/bin/uv"
IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
name = sys.argv[1]
package = importlib.import_module(name)
[folder] = package.__path__
assert "site-packages" in folder, folder
assert (pathlib.Path(folder) / "py.typed").is_file(), "the wheel lacks py.typed"
for module in pkgutil.walk_packages(package.__path__, name + "."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
"""


def install(package: Package, environment: Path) -> None:
    """Installs the wheel of `package` and what it depends on into a new virtual environment."""
    # Wheels of this repository are built anew: a cached one would not have the files of today.
    refresh = [argument for each in PACKAGES for argument in ("--refresh-package", each.distribution)]
    command = [UV, "sync", "--frozen", "--package", package.distribution, "--no-dev", "--no-editable", *refresh]
    variables = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": sys.executable}
    subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.distribution)
def test_a_package_imports_when_installed_alone(package: Package, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    install(package, environment)
    subprocess.run(
        [environment / "bin/python", "-I", "-c", IMPORT_ALL, package.module], cwd=tmp_path, check=True, timeout=60
    )
