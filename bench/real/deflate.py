# SPDX-License-Identifier: MIT
"""libdeflate: three pointers whose first targets look at the processor and replace themselves.

adler32's call is a tail call, crc32's is not, and the decompressor's has seven arguments, one of them on the stack.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bench.build import run
from bench.real.program import CC, MODES, WORK, Case, Program, edit_files
from examples.demo import fetch
from examples.xxhash.edit import Edit

HERE = Path(__file__).parent
# By file: the pointer, the function that looks at the processor, and what chooses.
POINTERS = {
    "lib/adler32.c": ("adler32_impl", "dispatch_adler32", "adler32"),
    "lib/crc32.c": ("crc32_impl", "dispatch_crc32", "crc32"),
    "lib/deflate_decompress.c": ("decompress_impl", "dispatch_decomp", "decompress"),
}
TESTS = (
    "test_checksums",
    "test_custom_malloc",
    "test_incomplete_codes",
    "test_invalid_streams",
    "test_litrunlen_overflow",
    "test_overread",
    "test_slow_decompression",
    "test_trailing_bytes",
)
CONFIG = ("CLOCK_GETTIME", "FUTIMENS", "POSIX_FADVISE", "POSIX_MADVISE", "STAT_NANOSECOND_PRECISION")
UTILITIES = ("programs/prog_util.c", "programs/tgetopt.c", "programs/test_util.c")
CHUNK = 64


def static(pointer: str, first: str) -> tuple[Edit, ...]:
    return (
        Edit(rf"static volatile \w+ {pointer} = {first};", f"DEFINE_STATIC_CALL({pointer}, {first});", 1),
        # If it fails, the next call comes here again.
        Edit(rf"\t{pointer} = f;", f"\t(void)static_call_update({pointer}, f);", 1),
        Edit(rf"(return ~?){pointer}\(", rf"\1static_call({pointer})(", 1),
        Edit(r'#include "lib_common\.h"', r"\g<0>" "\n#include <static_call.h>", 1),
    )


def hard_wired(pointer: str, target: str) -> tuple[Edit, ...]:
    return (Edit(rf"(return ~?){pointer}\(", rf"\1{target}(", 1),)


class Deflate(Program):
    name = "deflate"
    cflags = ("-O2", "-DNDEBUG", "-DHAVE_CONFIG_H", "-D_GNU_SOURCE", "-I.")
    libs = ("-lz",)
    common = (
        "lib/utils.c",
        "lib/x86/cpu_features.c",
        "lib/deflate_compress.c",
        "lib/zlib_compress.c",
        "lib/zlib_decompress.c",
        "lib/gzip_compress.c",
        "lib/gzip_decompress.c",
    )
    dispatching = tuple(POINTERS)
    programs = {  # noqa: RUF012
        "driver": ("deflate_driver.c",),
        **{name: (f"programs/{name}.c", *UTILITIES) for name in ("checksum", "benchmark", *TESTS)},
    }
    cases = (
        Case("adler32 of 64 bytes", "ns"),
        Case("crc32 of 64 bytes", "ns"),
        Case("inflate 24 bytes", "ns"),
        Case(f"its checksum -A -s {CHUNK}", "ns"),
    )

    def upstream(self) -> Path:
        return fetch(HERE / "deflate.txt", WORK / self.name / "archive") / "libdeflate"

    def write(self, form: str, out: Path) -> None:
        shutil.copytree(self.upstream(), out)
        shutil.copy(HERE / "deflate_driver.c", out)
        (out / "config.h").write_text("".join(f"#define HAVE_{name} 1\n" for name in CONFIG))
        for file, (pointer, first, kind) in POINTERS.items():
            if form in MODES:
                edit_files(out, {file: static(pointer, first)})
            elif form == "hard-wired":
                edit_files(out, {file: hard_wired(pointer, self._chosen(file, kind))})

    def _chosen(self, file: str, kind: str) -> str:
        """What the pointer would hold on this processor: a program that includes the file prints it."""
        source = self.sources("pointer")
        text = (source / "lib" / "x86" / f"{kind}_impl.h").read_text()
        names = re.findall(r"return (\w*_\w+);", text.split("arch_select_", 1)[1])
        shown = "".join(f'#ifdef {name}\nif (f == {name}) puts("{name}");\n#endif\n' for name in names)
        choose = f"{kind}_func_t f = arch_select_{kind}_func();\n{shown}"
        asks = f'#include <stdio.h>\n#include "{file}"\nint main(void)\n{{\n{choose}return 0;\n}}\n'
        probe = WORK / self.name / f"chosen_{kind}"
        probe.with_suffix(".c").write_text(asks)
        others = ["lib/x86/cpu_features.c", "lib/utils.c"]
        run([CC, *self.cflags, "-w", probe.with_suffix(".c"), *others, "-o", probe], cwd=source)
        return run([probe]).strip() or "DEFAULT_IMPL"

    def test(self, form: str) -> str:
        for name in TESTS:
            run([self.bin(form, "plain") / name], cwd=WORK / self.name)
        return f"{len(TESTS)} programs, all passed"

    def time(self, programs: Path) -> list[float]:
        tight = [float(word) for word in run([programs / "driver"]).split()]
        # The best of the times for the same file again and again: the first one has the update in it.
        files = [self._text()] * 6
        rates = re.findall(r"(\d+) MB/s", run([programs / "checksum", "-A", "-t", "-s", str(CHUNK), *files]))
        return [*tight, 1000 * CHUNK / max(map(float, rates))]

    def _text(self) -> Path:
        """256 KB of its own source, to read."""
        out = WORK / self.name / "text"
        if not out.exists():
            text = (self.sources("pointer") / "lib" / "deflate_compress.c").read_bytes()
            out.write_bytes((2 * text)[: 256 << 10])
        return out
