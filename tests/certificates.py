"""Certificates for servers of tests, made anew each time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers import HOST, find_program


class Certificates:
    """An authority, and a certificate for 127.0.0.1 that it has signed; `other` is an authority that has not."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.other = folder / "ca.crt", folder / "other.crt"
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        for path in (self.authority, self.other):
            self._openssl(
                *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={path.stem}"),
                *("-keyout", str(path.with_suffix(".key")), "-out", str(path)),
            )
        extension = folder / "names"
        extension.write_text(f"subjectAltName=IP:{HOST}\n")
        request = folder / "server.csr"
        words = (
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=redis",
            "-keyout",
            str(self.key),
            "-out",
            str(request),
        )
        self._openssl(*words)
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.authority), "-days", "2", "-CAcreateserial"),
            *(
                "-CAkey",
                str(self.authority.with_suffix(".key")),
                "-extfile",
                str(extension),
                "-out",
                str(self.certificate),
            ),
        )

    @staticmethod
    def _openssl(*words: str) -> None:
        subprocess.run([find_program("openssl", "openssl"), *words], capture_output=True, check=True)
