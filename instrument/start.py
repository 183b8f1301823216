# SPDX-License-Identifier: MIT
"""Where the command begins: as a compiler's launcher, or as the tool.

A launcher is started once a file, so nothing is imported here or there that it can do without.
"""

from __future__ import annotations

import sys

_OWN_NAMES = ("instrument", "__main__.py")
"""How they begin: `pipx install --suffix=@2` makes instrument@2."""


def main() -> int:
    """Run the command line and return the exit status. Under another name, that of a compiler, a link to the
    command is that compiler (ccache's "masquerade")."""
    name = sys.argv[0].rpartition("/")[2]
    if name.startswith("instrument-cc"):
        # For settings that hold one word, like CCACHE_PREFIX; the options come from the environment.
        from instrument import launcher

        return launcher.main(["--", *sys.argv[1:]])
    if not name.startswith(_OWN_NAMES):
        from instrument import launcher

        return launcher.masquerade(name, sys.argv[1:])
    if sys.argv[1:2] == ["cc"]:
        from instrument import launcher

        return launcher.main(sys.argv[2:])
    from instrument import cli

    return cli.main()
