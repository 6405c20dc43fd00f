"""Builds a Rust benchmark and says where its program lies."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

MANIFEST = Path(__file__).parents[2] / "Cargo.toml"


def benchmark_program(name: str) -> Path:
    """Build the benchmark `name` as `cargo bench` would; -> its program."""
    command = ["cargo", "bench", "--locked", "--manifest-path", str(MANIFEST), "--bench", name, "--no-run", "--quiet"]
    # What the compiler complains of is for whoever reads, so it is not in the JSON.
    command.append("--message-format=json-render-diagnostics")
    built = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        raise SystemExit(f"the benchmark {name} could not be built: cargo ended with {built.returncode}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no program for the benchmark {name}")
