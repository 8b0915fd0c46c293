"""A slow parser of line protocol, written from its specification and not from our encoder: one sign at a time."""

from __future__ import annotations

from dataclasses import dataclass

Pairs = list[tuple[str, str]]


@dataclass
class Parsed:
    measurement: str
    tags: Pairs
    fields: list[tuple[str, float | int | str | bool]]
    time_ns: int | None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def sign(self) -> str:
        return self.text[self.at : self.at + 1]

    def name(self, stops: str) -> str:
        """Read up to an unescaped stop; a backslash escapes only a stop, elsewhere it is itself."""
        found = ""
        while self.sign and self.sign not in stops:
            if self.sign == "\n":
                raise ValueError(f"a line ends in a name at {self.at} of {self.text!r}")
            following = self.text[self.at + 1 : self.at + 2]
            if self.sign == "\\" and following and following in stops:
                self.at += 1
            found += self.sign
            self.at += 1
        if not found:
            raise ValueError(f"an empty name at {self.at} of {self.text!r}")
        return found

    def expect(self, sign: str) -> None:
        if self.sign != sign:
            raise ValueError(f"{sign!r} expected at {self.at} of {self.text!r}")
        self.at += 1

    def quoted(self) -> str:
        self.expect('"')
        found = ""
        while self.sign != '"':
            if not self.sign:
                raise ValueError(f"a string without end in {self.text!r}")
            if self.sign == "\\" and self.text[self.at + 1 : self.at + 2] in ("\\", '"'):
                self.at += 1
            found += self.sign
            self.at += 1
        self.expect('"')
        return found

    def word(self) -> str:
        word = ""
        while self.sign and self.sign not in ", \n":
            word += self.sign
            self.at += 1
        return word

    def value(self) -> float | int | str | bool:
        if self.sign == '"':
            return self.quoted()
        word = self.word()
        if word in ("t", "T", "true", "True", "TRUE"):
            return True
        if word in ("f", "F", "false", "False", "FALSE"):
            return False
        if word.endswith("i"):
            return int(word[:-1])
        if word.strip("+-").lower() in ("nan", "inf", "infinity"):
            raise ValueError(f"{word} is no number in line protocol")
        return float(word)


def _parse_one(reader: _Reader) -> Parsed:
    if reader.sign == "#":
        raise ValueError("a comment")
    parsed = Parsed(reader.name(", "), [], [], None)
    while reader.sign == ",":
        reader.at += 1
        key = reader.name(",= ")
        reader.expect("=")
        parsed.tags.append((key, reader.name(",= ")))
    reader.expect(" ")
    while True:
        key = reader.name(",= ")
        reader.expect("=")
        parsed.fields.append((key, reader.value()))
        if reader.sign != ",":
            break
        reader.at += 1
    if reader.sign == " ":
        reader.at += 1
        parsed.time_ns = int(reader.word())
    return parsed


def parse_line(line: str) -> Parsed:
    """Parse one line. Raises ValueError."""
    (parsed,) = parse_lines(line.encode("utf-8", "surrogatepass"))
    return parsed


def parse_lines(body: bytes) -> list[Parsed]:
    """Parse a whole request. A line break ends a line, but not within a string. Raises ValueError."""
    reader = _Reader(body.decode("utf-8", "surrogatepass"))
    found = []
    while reader.sign:
        found.append(_parse_one(reader))
        if reader.sign:
            reader.expect("\n")
    return found
