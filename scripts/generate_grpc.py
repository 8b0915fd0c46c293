"""Compile the .proto file of the gRPC service; `--check` only says whether what was made of it is current."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = "ingestor/api/rpc/ingestor.proto"
MADE = ("ingestor/api/rpc/ingestor_pb2.py", "ingestor/api/rpc/ingestor_pb2.pyi")


def compiled(folder: Path) -> dict[str, str]:
    """Return each file that protoc makes, by its path."""
    include = Path(protoc.__file__).parent / "_proto"
    options = [f"-I{ROOT}", f"-I{include}", f"--python_out={folder}", f"--pyi_out={folder}", str(ROOT / PROTO)]
    if protoc.main(["protoc", *options]) != 0:
        sys.exit(1)
    return {name: (folder / name).read_text("utf-8") for name in MADE}


def main() -> int:
    """Write what is not current, or say that it is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if something is not current")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        made = compiled(Path(folder))
    stale = [name for name, text in made.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != text]
    for name in stale:
        if check:
            print(f"{name} is not current: `python scripts/generate_grpc.py` makes it anew")
        else:
            (ROOT / name).write_text(made[name], "utf-8")
            print(f"wrote {name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
