"""Every import of a module is read, wherever it stands."""

import pytest

from python_patterns.imports import Imported, imports

SOURCE = """\
\"\"\"A module.\"\"\"
import a.b, c as d
from .e import f as g
from . import h

try:
    from i import *
except* ImportError:
    import j
else:
    import k
finally:
    import l

match 1:
    case 1:
        import m

async def n():
    class O:
        for _ in ():
            import p
"""


def test_every_import_is_read() -> None:
    found = list(imports(SOURCE))
    assert found[:5] == [
        (2, Imported("a.b", "", None)),
        (2, Imported("c", "", "d")),
        (3, Imported(".e", "f", "g")),
        (4, Imported(".", "h", None)),
        (7, Imported("i", "*", None)),
    ]
    assert {one.module for _, one in found[5:]} == {"j", "k", "l", "m", "p"}
    assert [one.bound for _, one in found[:4]] == ["a", "d", "g", "h"]
    assert [one.is_relative for _, one in found[:4]] == [False, False, True, True]


@pytest.mark.parametrize("source", ["import", b"import a\0"])
def test_what_is_no_python_is_refused(source: str | bytes) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        list(imports(source))
