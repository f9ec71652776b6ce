"""`make coverage`: branch coverage of the pure modules of schema, runtime and services, by tests that need no servers.

Exits with 1 where all together are below `TOGETHER` per cent, or one of them below `EACH`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from test_layering import ROOT, declared_pure

PACKAGES: Final = ("libs/schema", "libs/runtime", "services")
TOGETHER: Final = 93
EACH: Final = 35


def main() -> int:
    """Run the fast tests, and show what of each pure module they leave out."""
    declared = [str(path.relative_to(ROOT)) for path in declared_pure()]
    files = [name for name in declared if name.startswith(PACKAGES)]
    with tempfile.TemporaryDirectory(prefix="seve-coverage-") as folder:
        data, report = Path(folder, "data"), Path(folder, "report.json")
        coverage = [sys.executable, "-m", "coverage"]
        run = [*coverage, "run", "--branch", f"--data-file={data}", f"--include={','.join(files)}", "-m", "pytest"]
        tests = ["-q", "-m", "not slow", *PACKAGES]
        if code := subprocess.run([*run, *tests], cwd=ROOT, check=False).returncode:
            return code
        written = [*coverage, "json", "--quiet", f"--data-file={data}", f"-o{report}"]
        subprocess.run(written, cwd=ROOT, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))
    return verdict(files, found)


def verdict(files: list[str], found: dict) -> int:
    """Print the modules below full coverage; return the exit code."""
    reached = {name: each["summary"]["percent_covered"] for name, each in found["files"].items()}
    low = 0
    for name in sorted(files, key=lambda name: reached.get(name, 0.0)):
        if (percent := reached.get(name, 0.0)) < 100:
            low += percent < EACH
            lines = ", ".join(map(str, found["files"].get(name, {}).get("missing_lines", []))) or "branches only"
            print(f"{percent:6.1f} %  {name}: {lines[:100]}{' (below its floor)' if percent < EACH else ''}")
    together = found["totals"]["percent_covered"]
    print(f"{together:6.1f} %  together, of {len(files)} pure modules; at least {TOGETHER} together and {EACH} each")
    return 1 if low or together < TOGETHER else 0


if __name__ == "__main__":
    sys.exit(main())
