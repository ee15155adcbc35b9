"""Ways of damaging a file: in its bytes, and in what its format makes of them.

Everything is drawn from the generator that is given: the same one damages alike.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

WHOLE = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 257, 1000, 32767, 32768, 65535)
LARGE = (65536, 1 << 20, (1 << 24) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 63)
HOSTILE = (
    None, True, -1, 0, 1, 2, 3, 1 << 31, 1 << 63, 1 << 64, -(1 << 70), 10**400, 0.5,
    -0.0, 1e-320, 1e308, float("nan"), float("inf"), "", " ", "\0", "é\ud800",
    "a" * 5000,
    "../../x", "/dev/zero", "NaN", "1", "#zzzzzz", [], {}, [[]], {"a": {}}, [0] * 300,
)  # fmt: skip
"""What a value of JSON is replaced by."""

Mutation = Callable[[bytes, random.Random], bytes]


def some_bytes(data: bytes, draw: random.Random) -> bytes:
    """Damage bytes in one to six places, whatever they mean."""
    changed = bytearray(data)
    for _ in range(1 + min(5, int(draw.expovariate(0.7)))):
        _one_place(changed, draw)
    return bytes(changed)


def _one_place(changed: bytearray, draw: random.Random) -> None:
    size = len(changed)
    if not size:
        changed += draw.randbytes(4)
        return
    # Heads of files decide most: half of what is damaged is there
    at = draw.randrange(size if draw.random() < 0.5 else min(size, 400))
    match draw.randrange(8):
        case 0:
            changed[at] ^= 1 << draw.randrange(8)
        case 1:
            changed[at] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        case 2 | 3:
            kind = draw.choice("BHIQ")
            value = draw.choice(WHOLE + LARGE) & ((1 << 8 * struct.calcsize(kind)) - 1)
            packed = struct.pack(draw.choice("<>") + kind, value)
            changed[at : at + len(packed)] = packed
        case 4:
            changed[at:at] = draw.randbytes(draw.choice((1, 2, 4, 64)))
        case 5:
            del changed[at : at + draw.choice((1, 2, 4, 16, 256))]
        case 6:
            length = draw.choice((4, 16, 64, 512))
            origin = draw.randrange(size)
            changed[at : at + length] = changed[origin : origin + length]
        case _:
            del changed[at if draw.random() < 0.5 else draw.randrange(size) :]


# JSON


def json_text(data: bytes, draw: random.Random) -> bytes:
    """Damage values of a JSON text, or now and then the text itself."""
    if draw.random() < 0.15:
        return some_bytes(data, draw)
    if draw.random() < 0.02:
        depth = draw.choice((50, 2000, 200_000))
        return b'{"a":' * depth if draw.random() < 0.5 else b"[" * depth
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return some_bytes(data, draw)
    return json.dumps(json_value(value, draw)).encode()


def text(data: bytes, draw: random.Random) -> bytes:
    """Damage JSON, or a table with commas: a cell of it, or its bytes."""
    if data[:1] in b"[{":
        return json_text(data, draw)
    if draw.random() < 0.4:
        return some_bytes(data, draw)
    lines = [line.split(b",") for line in data.split(b"\n")]
    line = draw.choice(lines)
    new = draw.choice((b"", b"nan", b"-1", b"1e999", b"x", b'"', b"\0", b"9" * 5000))
    line[draw.randrange(len(line))] = new * draw.choice((1, 1, 1, 60))
    return b"\n".join(b",".join(line) for line in lines)


def json_value(value: Any, draw: random.Random) -> Any:
    """Return a value of which one to four parts are something else."""
    value = copy.deepcopy(value)
    for _ in range(1 + min(3, int(draw.expovariate(1)))):
        value = _one_part(value, draw)
    return value


def _one_part(value: Any, draw: random.Random) -> Any:
    inside = isinstance(value, dict | list) and len(value) > 0
    if inside and draw.random() < 0.9:
        key = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if draw.random() < 0.12:
            return _without_or_twice(value, key, draw)
        value[key] = _one_part(value[key], draw)
        return value
    if isinstance(value, str) and value[:1] in "{[" and draw.random() < 0.9:
        try:  # JSON in a text of JSON
            return json.dumps(_one_part(json.loads(value), draw))
        except ValueError:
            pass
    if isinstance(value, int | float) and draw.random() < 0.4:
        return value + draw.choice((-1, 1, 1 << 16, -(1 << 16)))
    if isinstance(value, str) and value and draw.random() < 0.3:
        encoded = value.encode(errors="surrogatepass")
        return some_bytes(encoded, draw).decode(errors="replace")
    return copy.deepcopy(draw.choice(HOSTILE))


def _without_or_twice(value: Any, key: Any, draw: random.Random) -> Any:
    if draw.random() < 0.6:
        del value[key]
    elif isinstance(value, dict):
        value[draw.choice(("a", "", "-1", "99999999999999999999", f"{key}x"))] = value[
            key
        ]
    else:
        value.extend([value[key]] * draw.choice((1, 3, 1000)))
    return value


# Containers


def png(data: bytes, draw: random.Random) -> bytes:
    """Damage a PNG's chunks so that their checksums are right again."""
    if draw.random() < 0.3 or not data.startswith(b"\x89PNG"):
        return some_bytes(data, draw)
    chunks = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        chunks.append([kind, data[at + 8 : at + 8 + length]])
        at += 12 + length
    for _ in range(draw.choice((1, 1, 2))):
        chunk = draw.choice(chunks)
        if draw.random() < 0.1:
            other = draw.choice((*chunks, [draw.choice(_CHUNKS), draw.randbytes(9)]))
            chunks.insert(draw.randrange(len(chunks)), list(other))
        elif chunk[0] == b"IDAT" and draw.random() < 0.7:
            try:
                plain = zlib.decompress(chunk[1])
            except zlib.error:
                plain = b""
            chunk[1] = zlib.compress(some_bytes(plain, draw), 1)
        elif chunk[0] in (b"iTXt", b"tEXt"):
            chunk[1] = _noted(chunk[1], draw)
        else:
            chunk[1] = some_bytes(chunk[1], draw)
    written = [data[:8]]
    for kind, content in chunks:
        check = zlib.crc32(kind + content)
        written += [struct.pack(">I", len(content)), kind, content]
        written.append(struct.pack(">I", check))
    return b"".join(written)


_CHUNKS = (b"acTL", b"fcTL", b"fdAT", b"tRNS", b"iCCP", b"zTXt", b"eXIf", b"PLTE")


def _noted(text: bytes, draw: random.Random) -> bytes:
    """Damage the JSON in a text chunk behind its keyword."""
    start = text.find(b"{")
    if start < 0:
        return some_bytes(text, draw)
    return text[:start] + json_text(text[start:], draw)


def tiff(data: bytes, draw: random.Random) -> bytes:
    """Damage entries of a TIFF file's directories."""
    entries = _tiff_entries(data)
    if draw.random() < 0.3 or not entries:
        return some_bytes(data, draw)
    changed = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    for _ in range(draw.choice((1, 1, 2, 3))):
        at = draw.choice(entries)
        count, field = (at + 4, "Q" if is_big else "I")
        value = count + struct.calcsize(field)
        match draw.randrange(6):
            case 0:
                struct.pack_into(f"{order}H", changed, at, draw.choice(_TAGS))
            case 1:
                struct.pack_into(f"{order}H", changed, at + 2, draw.randrange(20))
            case 2:
                new = draw.choice(WHOLE + LARGE[:-1])
                struct.pack_into(order + field, changed, count, new)
            case 3 | 4:
                new = draw.choice(WHOLE + LARGE[:-1])
                kind = draw.choice(("H", field))
                new &= (1 << 8 * struct.calcsize(kind)) - 1
                struct.pack_into(order + kind, changed, value, new)
            case _:
                (length,) = struct.unpack_from(order + field, changed, count)
                (place,) = struct.unpack_from(order + field, changed, value)
                old = bytes(changed[place : place + min(length, 1 << 16)])
                new_value = _noted(old, draw)
                new_field = struct.pack(order + field, len(new_value))
                changed[count:value] = new_field
                struct.pack_into(order + field, changed, value, len(changed))
                changed += new_value
    return bytes(changed)


_TAGS = (
    254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 296, 301,
    317, 320, 322, 323, 324, 325, 330, 332, 333, 338, 339, 340, 347, 529, 530, 532,
    33922, 34377, 34675, 50838, 50839,
)  # fmt: skip


def _tiff_entries(data: bytes) -> list[int]:
    """Return where the entries of the directories of a TIFF file begin."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return []
    is_big = data[2:4] in (b"+\0", b"\0+")
    number, offset, step = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    entries: list[int] = []
    try:
        (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
        for _ in range(8):
            if not at:
                break
            (count,) = struct.unpack_from(order + number, data, at)
            at += struct.calcsize(number)
            entries += [at + step * k for k in range(min(count, 64))]
            (at,) = struct.unpack_from(order + offset, data, at + step * count)
    except struct.error:
        pass
    return [at for at in entries if at + step <= len(data)]


def dicom(data: bytes, draw: random.Random) -> bytes:
    """Damage elements of a DICOM file: their kind, length and value."""
    elements = _dicom_elements(data)
    if draw.random() < 0.3 or not elements:
        return some_bytes(data, draw)
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        at, start, length = draw.choice(elements)
        match draw.randrange(5):
            case 0:
                changed[at + 4 : at + 6] = draw.choice(
                    (b"US", b"UL", b"DS", b"IS", b"SQ", b"OB", b"UN", b"CS", b"PN")
                )
            case 1:
                struct.pack_into("<H", changed, at + 6, draw.choice(WHOLE))
            case 2 if length == 2:
                new = draw.choice(WHOLE)
                struct.pack_into("<H", changed, start, new)
            case 3:
                new = draw.choice(
                    (b"0", b"-1", b"1e400", b"nan", b"", b"9999999", b"\\")
                )
                changed[start : start + length] = new.ljust(length)[:length]
            case _:
                part = some_bytes(bytes(changed[start : start + length]), draw)
                changed[start : start + length] = part.ljust(length, b"\0")[:length]
    return bytes(changed)


_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR")


def _dicom_elements(data: bytes) -> list[tuple[int, int, int]]:
    """Return where elements and their values begin, and how long these are."""
    found = []
    at = 132
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 6]
        if kind in _LONG:
            (length,) = struct.unpack_from("<I", data, at + 8)
            start = at + 12
        else:
            (length,) = struct.unpack_from("<H", data, at + 6)
            start = at + 8
        is_nested = kind == b"SQ" or length == 0xFFFFFFFF
        found.append((at, start, 0 if is_nested else min(length, len(data) - start)))
        if data[at : at + 4] == b"\xe0\x7f\x10\x00":  # the pixels
            break
        at = start if is_nested else start + length
        if data[at : at + 2] == b"\xfe\xff":  # an item
            at += 8
    return [element for element in found if element[1] <= len(data)]


def safetensors(data: bytes, draw: random.Random) -> bytes:
    """Damage the head of a safetensors file, whose length is right again."""
    if draw.random() < 0.3 or len(data) < 8:
        return some_bytes(data, draw)
    (length,) = struct.unpack_from("<Q", data)
    head, body = data[8 : 8 + length], data[8 + length :]
    if draw.random() < 0.15:
        body = some_bytes(body, draw) if draw.random() < 0.5 else _numbers(body, draw)
    else:
        head = json_text(head, draw)
        head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + body


def _numbers(body: bytes, draw: random.Random) -> bytes:
    """Put a number that is none, or is too large, among 32-bit floats."""
    changed = bytearray(body)
    if len(changed) >= 4:
        at = 4 * draw.randrange(len(changed) // 4)
        new = draw.choice((float("nan"), float("inf"), 3e38, -1.0))
        struct.pack_into("<f", changed, at, new)
    return bytes(changed)


def archive(data: bytes, draw: random.Random) -> bytes:
    """Damage a file in a zip archive, whose checksums are right again."""
    if draw.random() < 0.2:
        return some_bytes(data, draw)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    for _ in range(draw.choice((1, 1, 2))):
        if not members:
            break
        described = [k for k, (name, _) in enumerate(members) if "json" in name]
        likely = described and draw.random() < 0.7
        at = draw.choice(described) if likely else draw.randrange(len(members))
        name, content = members[at]
        match draw.randrange(12):
            case 0:
                del members[at]
            case 1:
                members.append((draw.choice(("../x", "/x", f"{name}/x", "")), content))
            case _:
                damage = json_text if "json" in name else some_bytes
                damage = yaml_text if "yaml" in name else damage
                members[at] = (name, damage(content, draw))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for name, content in {
            name or "x": content for name, content in members
        }.items():
            file.writestr(name, content)
    return written.getvalue()


def yaml_text(data: bytes, draw: random.Random) -> bytes:
    """Damage a YAML text, or put one there that is nested deep or unfolds to much."""
    match draw.randrange(12):
        case 0:
            return draw.choice((b"[", b"{a: ", b"- ")) * draw.choice((50, 2000, 80_000))
        case 1:
            names = [f"a{k}" for k in range(draw.choice((9, 26)))]
            lines = ["a: &a [x, x, x, x, x, x, x, x]"]
            for before, name in zip(["a", *names], names, strict=False):
                lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
            return "\n".join(lines).encode() + b"\n" + data
        case 2:
            hostile = b"config: !!python/object/apply:os.system [exit 3]\n"
            return draw.choice((hostile, b"config: []\n", b"? {a: 1}\n: 2\n"))
        case _:
            return some_bytes(data, draw)


# Databases


def sqlite(data: bytes, draw: random.Random) -> bytes:
    """Damage cells and tables of an SQLite file, or its bytes."""
    if draw.random() < 0.3:
        return some_bytes(data, draw)
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.text_factory = bytes
        db.deserialize(data)
        for _ in range(draw.choice((1, 1, 2, 3))):
            # What SQLite does not take is left out
            with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
                (_one_table if draw.random() < 0.12 else _one_cell)(db, draw)
        db.commit()
        return db.serialize()


def _tables(db: sqlite3.Connection) -> list[str]:
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return sorted(name.decode() for (name,) in rows)


def _one_table(db: sqlite3.Connection, draw: random.Random) -> None:
    table = draw.choice(_tables(db))
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    db.execute(
        draw.choice(
            (
                f"DROP TABLE {table}",
                f"ALTER TABLE {table} ADD COLUMN more",
                f"DELETE FROM {table}",
                f"CREATE TRIGGER t BEFORE INSERT ON {table} BEGIN "
                "DELETE FROM about; END",
                f"CREATE VIEW v AS {endless} SELECT x FROM n",
                "CREATE VIRTUAL TABLE f USING fts5(a)",
                f"PRAGMA user_version = {draw.choice((0, 2, -1, 1 << 30))}",
                "PRAGMA application_id = 7",
            )
        )
    )
    if draw.random() < 0.3:
        db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute(f"CREATE VIEW {table} AS {endless} SELECT * FROM n")


def _one_cell(db: sqlite3.Connection, draw: random.Random) -> None:
    table = draw.choice(_tables(db))
    rows = [row for (row,) in db.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
    columns = [about[1].decode() for about in db.execute(f"PRAGMA table_info({table})")]
    if not rows:
        return
    row, column = draw.choice(rows), draw.choice(columns)
    where = f"FROM {table} WHERE rowid = ?"
    ((old, kind),) = db.execute(f"SELECT {column}, typeof({column}) {where}", (row,))
    text = old if isinstance(old, bytes) else b""
    new: Any = draw.choice([*HOSTILE[:-4], *WHOLE])
    if text and draw.random() < 0.7:
        new = _cell(text, draw)
        if kind == b"text":
            new = new.decode(errors="replace")
    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))


def _cell(content: bytes, draw: random.Random) -> bytes:
    """Damage a text or what is packed in a cell, so that it can be unpacked."""
    if content[:1] in b"{[":
        return json_text(content, draw)
    if content.startswith(b"PK") and draw.random() < 0.8:
        return archive(content, draw)
    with contextlib.suppress(zlib.error):
        plain = zlib.decompress(content)
        if draw.random() < 0.1:
            return zlib.compress(plain + bytes(1 << 26), 1)
        return zlib.compress(
            (json_text if plain[:1] == b"[" else some_bytes)(plain, draw)
        )
    return some_bytes(content, draw)
