"""Licences as authors write them, as SPDX expressions where that is sure."""

import re
from typing import Final

# The identifiers that matter in images; a text with any other is handed on as its author wrote it.
_KNOWN_TEXT: Final = """
    0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0-Perl Artistic-2.0 BSD-1-Clause BSD-2-Clause
    BSD-2-Clause-Patent BSD-3-Clause BSD-4-Clause BSD-4-Clause-UC BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC0-1.0 CDDL-1.0 curl EPL-1.0
    EPL-2.0 FSFAP FSFUL FTL GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only
    GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU IJG ISC LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later
    LGPL-3.0-only LGPL-3.0-or-later libtiff MIT MIT-0 MPL-1.1 MPL-2.0 NCSA OFL-1.1 OLDAP-2.8 OpenSSL PostgreSQL PSF-2.0 Python-2.0
    Ruby SMLNJ TCL Unicode-3.0 Unicode-DFS-2016 Unlicense Vim W3C X11 Zlib ZPL-2.1
"""
KNOWN: Final = frozenset(_KNOWN_TEXT.split())
_EXCEPTIONS: Final = frozenset(
    {"GCC-exception-3.1", "Classpath-exception-2.0", "LLVM-exception", "OpenSSL-exception", "Autoconf-exception-3.0"}
)
_NAMES: Final = {
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "expat": "MIT",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "public-domain": "",
    "python software foundation license": "PSF-2.0",
}
_GNU: Final = re.compile(r"(A?GPL|LGPL|GFDL)-([123])(\.[0-3])?(\+?)", re.IGNORECASE)


def expression(text: str) -> str:
    """The SPDX expression that `text` is, or plainly means; "" when that is not sure."""
    terms = [_term(one) for one in re.split(r"\s+AND\s+", text.strip())]
    return " AND ".join(dict.fromkeys(terms)) if all(terms) else ""


def _term(text: str) -> str:
    whole = _NAMES.get(text.lower().strip(), _gnu(text.strip()))
    if whole in KNOWN:
        return whole
    words = [word for word in re.split(r"[\s()]+", text) if word and word not in ("OR", "WITH")]
    known = words and all(word in KNOWN or word in _EXCEPTIONS for word in words)
    if not known or text.count("(") != text.count(")") or _lacks_operators(text, len(words)):
        return ""
    return f"({text.strip()})" if " OR " in text and not text.strip().startswith("(") else text.strip()


def _lacks_operators(text: str, words: int) -> bool:
    return len(re.findall(r"\b(?:OR|WITH)\b", text)) != words - 1


def _gnu(text: str) -> str:
    """Debian's short names: GPL-2+, LGPL-2.1."""
    match = _GNU.fullmatch(text)
    if match is None:
        return text
    return f"{match[1].upper()}-{match[2]}{match[3] or '.0'}-{'or-later' if match[4] else 'only'}"
