# SPDX-License-Identifier: MIT
# make install: the tool, the headers and the runtime as a library, as a distribution wants them. No network is used.
#
#   make install PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu DESTDIR=debian/tmp PYTHON=/usr/bin/python3
#
# The tool is a program with modules of its own, so these go to TOOLDIR and not among the modules of PYTHON (Debian's
# Python policy; and Debian's pip moves --prefix=/usr/local to /usr/local/local). PYTHON must have what pyproject.toml
# names as dependencies, or they are put beside the tool: pip install --target $(TOOLDIR) tree-sitter ... With DESTDIR
# nothing is byte-compiled: a package does that where it is installed.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
TOOLDIR ?= $(DATADIR)/staticcall
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
CFLAGS ?= -O2 -g
INSTALL ?= install
LIBRARY_BUILD ?= build/lib

static_call_version := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' instrument/__init__.py)
static_call_so := libstaticcall.so.$(static_call_version)
# Of the ABI, which is not the version: it changes when a symbol or a record of staticcall.map's users changes.
static_call_soname := libstaticcall.so.1
static_call_headers := $(wildcard c_runtime/include/*.h)
static_call_pages := instrument.1 $(shell sed -n 's/^    "\([a-z]*\)": Command.*/instrument-\1.1/p' instrument/commands.py)
static_call_places = $(DESTDIR)$(PREFIX)$(BINDIR)$(LIBDIR)$(INCLUDEDIR)$(DATADIR)$(MANDIR)$(TOOLDIR)$(PYTHON)
static_call_auto_load = $(DATADIR)/gdb/auto-load$(LIBDIR)
static_call_fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	-e 's|@TOOLDIR@|$(TOOLDIR)|' -e 's|@VERSION@|$(static_call_version)|' -e 's|@PYTHON@|$(shell command -v $(PYTHON))|'

.PHONY: library install uninstall

library: $(LIBRARY_BUILD)/libstaticcall.a $(LIBRARY_BUILD)/$(static_call_so)

$(LIBRARY_BUILD)/static_call_runtime.o: c_runtime/static_call_runtime.c $(wildcard c_runtime/src/*) $(static_call_headers)
	mkdir -p $(@D)
	$(CC) -std=gnu11 $(CPPFLAGS) $(CFLAGS) -fPIC -Ic_runtime/include -c -o $@ $<

$(LIBRARY_BUILD)/libstaticcall.a: $(LIBRARY_BUILD)/static_call_runtime.o
	rm -f $@
	$(AR) rcsD $@ $<

$(LIBRARY_BUILD)/$(static_call_so): $(LIBRARY_BUILD)/static_call_runtime.o c_runtime/staticcall.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(static_call_soname) -Wl,-z,defs \
		-Wl,--version-script=c_runtime/staticcall.map -o $@ $< -pthread

# A umask of 077 makes files that nobody else can read: what is not copied by install goes through it, or is mended.
install: library
	$(if $(filter-out 1,$(words $(static_call_places))),$(error make cannot install where a path has a blank))
	$(if $(filter /%,$(PREFIX)),,$(error PREFIX=$(PREFIX) is no absolute path))
	@$(PYTHON) -c 'import sys; sys.exit("PYTHON must be 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -B -m instrument.manual $(LIBRARY_BUILD)/man
	for shell in bash zsh fish; do $(PYTHON) -B -m instrument completions $$shell >$(LIBRARY_BUILD)/$$shell || exit; done
	$(static_call_fill) c_runtime/staticcall.pc.in >$(LIBRARY_BUILD)/staticcall.pc
	$(static_call_fill) c_runtime/instrument.in >$(LIBRARY_BUILD)/instrument
	echo 'include("$(TOOLDIR)/c_runtime/cmake/StaticCallConfig.cmake")' >$(LIBRARY_BUILD)/StaticCallConfig.cmake
	$(INSTALL) -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(LIBDIR)/cmake/StaticCall $(INCLUDEDIR) \
		$(TOOLDIR) $(static_call_auto_load) $(MANDIR)/man1 $(BASHDIR) $(ZSHDIR) $(FISHDIR))
	$(INSTALL) -m 644 $(static_call_headers) $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/libstaticcall.a $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/$(static_call_so) $(DESTDIR)$(LIBDIR)
	ln -sf $(static_call_so) $(DESTDIR)$(LIBDIR)/$(static_call_soname)
	ln -sf $(static_call_soname) $(DESTDIR)$(LIBDIR)/libstaticcall.so
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/staticcall.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/StaticCallConfig.cmake c_runtime/cmake/StaticCallConfigVersion.cmake \
		$(DESTDIR)$(LIBDIR)/cmake/StaticCall
	$(INSTALL) -m 644 c_runtime/gdb/static_call-gdb.py \
		$(DESTDIR)$(static_call_auto_load)/$(static_call_so)-gdb.py
	$(INSTALL) -m 644 $(addprefix $(LIBRARY_BUILD)/man/,$(static_call_pages)) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/bash $(DESTDIR)$(BASHDIR)/instrument
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/zsh $(DESTDIR)$(ZSHDIR)/_instrument
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/fish $(DESTDIR)$(FISHDIR)/instrument.fish
	rm -rf $(addprefix $(DESTDIR)$(TOOLDIR)/,instrument c_runtime templates)
	tar -c --exclude=__pycache__ instrument c_runtime templates | tar -x --no-same-owner -C $(DESTDIR)$(TOOLDIR)
ifeq ($(DESTDIR),)
	$(PYTHON) -m compileall -q $(TOOLDIR)/instrument
endif
	chmod -R u=rwX,go=rX $(DESTDIR)$(TOOLDIR)
	$(INSTALL) $(LIBRARY_BUILD)/instrument $(DESTDIR)$(BINDIR)
	ln -sf instrument $(DESTDIR)$(BINDIR)/instrument-cc
ifeq ($(DESTDIR),)
	@PYTHONPATH=$(TOOLDIR) $(PYTHON) -c 'import elftools, jinja2, pycparser, tree_sitter, tree_sitter_c' 2>/dev/null \
		|| echo "note: $(PYTHON) has not all that instrument needs; $(BINDIR)/instrument doctor tells what to install"
endif

uninstall:
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(notdir $(static_call_headers)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libstaticcall.a libstaticcall.so $(static_call_soname) $(static_call_so) \
		pkgconfig/staticcall.pc)
	rm -f $(DESTDIR)$(static_call_auto_load)/$(static_call_so)-gdb.py
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,instrument instrument-cc)
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man1/,$(static_call_pages))
	rm -f $(addprefix $(DESTDIR),$(BASHDIR)/instrument $(ZSHDIR)/_instrument $(FISHDIR)/instrument.fish)
	rm -rf $(DESTDIR)$(LIBDIR)/cmake/StaticCall $(DESTDIR)$(TOOLDIR)
	@cd $(DESTDIR)$(LIBDIR) && rmdir --ignore-fail-on-non-empty pkgconfig cmake 2>/dev/null || :
	@cd $(DESTDIR)$(DATADIR) && rmdir -p --ignore-fail-on-non-empty $(filter-out /%,$(patsubst $(DATADIR)/%,%,\
		$(static_call_auto_load) $(BASHDIR) $(ZSHDIR) $(FISHDIR))) 2>/dev/null || :
