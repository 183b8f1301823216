# SPDX-License-Identifier: MIT
# make install: the tool, the headers and the runtime as a library, as a distribution wants them. No network is used.
#
#   make install PREFIX=/usr LIBDIR=/usr/lib/x86_64-linux-gnu DESTDIR=debian/tmp PYTHON=/usr/bin/python3
#
# The tool is a program with modules of its own, so these go to TOOLDIR and not among the modules of PYTHON (Debian's
# Python policy; and Debian's pip moves --prefix=/usr/local to /usr/local/local). PYTHON must have what pyproject.toml
# names as dependencies, or they are put beside the tool: pip install --target $(TOOLDIR) tree-sitter ...

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
TOOLDIR ?= $(DATADIR)/staticcall
CFLAGS ?= -O2 -g
INSTALL ?= install
LIBRARY_BUILD ?= build/lib

static_call_version := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' instrument/__init__.py)
static_call_so := libstaticcall.so.$(static_call_version)
# Of the ABI, which is not the version: it changes when a symbol or a record of staticcall.map's users changes.
static_call_soname := libstaticcall.so.0
static_call_headers := $(wildcard c_runtime/include/*.h)
static_call_man := $(wildcard build/man/*.[1-9])
# By name, and not as those in build/man, which may be gone when they are uninstalled.
static_call_pages := instrument.1 $(shell sed -n 's/^    "\([a-z]*\)": Command.*/instrument-\1.1/p' instrument/commands.py)
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

install: library
	$(INSTALL) -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(LIBDIR)/cmake/StaticCall $(INCLUDEDIR) \
		$(TOOLDIR) $(static_call_auto_load))
	$(INSTALL) -m 644 $(static_call_headers) $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/libstaticcall.a $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 644 $(LIBRARY_BUILD)/$(static_call_so) $(DESTDIR)$(LIBDIR)
	ln -sf $(static_call_so) $(DESTDIR)$(LIBDIR)/$(static_call_soname)
	ln -sf $(static_call_soname) $(DESTDIR)$(LIBDIR)/libstaticcall.so
	$(static_call_fill) c_runtime/staticcall.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/staticcall.pc
	echo 'include("$(TOOLDIR)/c_runtime/cmake/StaticCallConfig.cmake")' \
		>$(DESTDIR)$(LIBDIR)/cmake/StaticCall/StaticCallConfig.cmake
	$(INSTALL) -m 644 c_runtime/cmake/StaticCallConfigVersion.cmake $(DESTDIR)$(LIBDIR)/cmake/StaticCall
	$(INSTALL) -m 644 c_runtime/gdb/static_call-gdb.py \
		$(DESTDIR)$(static_call_auto_load)/$(static_call_so)-gdb.py
	tar -c --exclude=__pycache__ instrument c_runtime templates | tar -x --no-same-owner -C $(DESTDIR)$(TOOLDIR)
	$(PYTHON) -m compileall -q $(if $(DESTDIR),-s $(DESTDIR)) $(DESTDIR)$(TOOLDIR)/instrument
	$(static_call_fill) c_runtime/instrument.in >$(DESTDIR)$(BINDIR)/instrument
	chmod 755 $(DESTDIR)$(BINDIR)/instrument
	ln -sf instrument $(DESTDIR)$(BINDIR)/instrument-cc
ifneq ($(static_call_man),)
	$(INSTALL) -d $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 644 $(static_call_man) $(DESTDIR)$(MANDIR)/man1
endif

uninstall:
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(notdir $(static_call_headers)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libstaticcall.a libstaticcall.so $(static_call_soname) $(static_call_so) \
		pkgconfig/staticcall.pc)
	rm -f $(DESTDIR)$(static_call_auto_load)/$(static_call_so)-gdb.py
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,instrument instrument-cc)
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man1/,$(static_call_pages))
	rm -rf $(DESTDIR)$(LIBDIR)/cmake/StaticCall $(DESTDIR)$(TOOLDIR)
	cd $(DESTDIR)$(DATADIR) && rmdir -p --ignore-fail-on-non-empty gdb/auto-load$(LIBDIR)
