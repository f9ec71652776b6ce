"""What images are made of, file by file: every layer as `docker save` gives it, so that what a later layer removed or
replaced is seen as well. Compressed members of archives are not opened.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path


def files(images: list[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of each regular file in each layer of `images`; a layer that they share is read once."""
    saved = folder / "images.tar"
    subprocess.run(["docker", "save", "--output", saved, *images], check=True, capture_output=True, timeout=300)
    with tarfile.open(saved) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        for name in sorted({layer for image in manifest for layer in image["Layers"]}):
            member = archive.getmember(name)
            if member.issym():  # a layer that stands twice in the archive
                continue
            with tarfile.open(fileobj=archive.extractfile(member)) as layer:
                for found in layer:
                    if found.isfile():
                        yield found.name, layer.extractfile(found).read()
    saved.unlink()
