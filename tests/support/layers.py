"""Reads the files of images from every layer of `docker save`, so that files which a later layer removes or replaces
are found too. Does not open compressed files.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path


def files(images: list[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each regular file in each layer of `images`; shared layers are read once."""
    saved = folder / "images.tar"
    subprocess.run(["docker", "save", "--output", saved, *images], check=True, capture_output=True, timeout=300)
    with tarfile.open(saved) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        for name in sorted({layer for image in manifest for layer in image["Layers"]}):
            member = archive.getmember(name)
            if member.issym():  # a link to a layer that is in the archive already
                continue
            with tarfile.open(fileobj=archive.extractfile(member)) as layer:
                for found in layer:
                    if found.isfile():
                        yield found.name, layer.extractfile(found).read()
    saved.unlink()
