"""What a vendor's own functions make of random text, written down. Run where the vendor's package is, by `make sdk`:

    python -P tests/normalise.py tests/normalisers/meta_ads.py tests/normalisers/meta_ads.json

The script's WRITES are its functions, by the name of our rule; what one raises is written as null.
"""

import json
import random
import re
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

SDK = re.compile(r'^# dependencies = \["([\w-]+)==', re.MULTILINE)
PARTS = [
    *" \t\n\u00a0.@+-'()/019aAbÉßİΣŁ正’",
    "person",
    "@gmail.com",
    "@GoogleMail.com",
    "@example.com",
    "+49",
    "\u0301",
]
PARTS += [
    "94025-1234",
    "01310-100",
    "DE",
    "us",
    "301234567",
    "+1 (800) 555-0100",
    "Søren",
    "de la Cruz",
    "1984",
    "12",
    "f",
]
# What a rule is for, of which random parts make too few.
NEAR = {
    "PHONE": ["+49 30 1234567", "+1 (800) 555-0100", "+44 20 7946 0018", "+49 (0)30/123-45 67", "+39 06 1234 5678"],
    "COUNTRY": ["DE", "us", "Fr", "GB", "at", "Nl"],
    "BIRTH_YEAR": ["1984", "2001", "1899", "84"],
    "BIRTH": [*map(str, range(1, 33)), "01", "09"],
}


def texts(seed, count):
    """Texts of parts that a function may know, some with letters from anywhere, some as they should be."""
    chance = random.Random(seed)
    near = next((found for start, found in NEAR.items() if seed.startswith(start)), [])
    for n in range(count):
        if near and n % 3 == 0:
            yield chance.choice(["", " ", "\t"]) + chance.choice(near) + chance.choice(["", "  ", "\n"])
            continue
        known = "".join(chance.choices(PARTS, k=chance.randint(1, 4)))
        strange = "".join(chr(chance.choice([*range(1, 0xD800), *range(0xE000, 0x11000)])) for _ in range(2))
        yield known + strange if n % 5 == 0 else known


def written(function, text):
    try:
        return function(text)
    except (ValueError, TypeError):
        return None


def main(script, told):
    names = runpy.run_path(script)
    [package] = SDK.findall(Path(script).read_text("utf-8"))
    rows = {rule: {t: written(function, t) for t in texts(rule, 250)} for rule, function in names["WRITES"].items()}
    document = {"sdk": package, "version": version(package), "written": rows}
    Path(told).write_text(json.dumps(document, indent=0, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
