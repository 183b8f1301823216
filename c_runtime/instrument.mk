# SPDX-License-Identifier: MIT
#
# Static calls in a Makefile (GNU make 4.3 or later):
#
#   STATIC_CALL_SRCS := main.c ops.c
#   include $(shell instrument --makefile)
#
#   prog: main.o ops.o
#           $(CC) $(LDFLAGS) -o $@ $^ $(STATIC_CALL_LIBS)
#
# Set before the include, where the default does not fit:
#
#   STATIC_CALL_SRCS    the C files, relative to this directory       $(wildcard *.c)
#   STATIC_CALL_MODE    inline-asm, trampoline or direct              inline-asm
#   STATIC_CALL_LAYOUT  aligned or compact; for direct, bare as well  aligned
#   STATIC_CALL_DIR     where the instrumented copies go              .static_call
#   STATIC_CALL_FLAGS   further options of instrument, as --strict
#
# CPPFLAGS and CFLAGS decide what instrument sees, so they too are best set before. A header that is made by
# the build is made in time if it is a prerequisite of $(STATIC_CALL_STAMP).

STATIC_CALL_SRCS ?= $(wildcard *.c)
STATIC_CALL_MODE ?= inline-asm
STATIC_CALL_LAYOUT ?= aligned
STATIC_CALL_DIR ?= .static_call
STATIC_CALL_FLAGS ?=
STATIC_CALL_TOOL ?= instrument

STATIC_CALL_STAMP := $(STATIC_CALL_DIR)/static_call/stamp
STATIC_CALL_CFLAGS := -I$(STATIC_CALL_DIR)/static_call/runtime/include
STATIC_CALL_LIBS := static_call_runtime.o -pthread

static_call_goal := $(.DEFAULT_GOAL)
static_call_objects := $(STATIC_CALL_SRCS:.c=.o)
static_call_deps := $(STATIC_CALL_SRCS:.c=.d) static_call_runtime.d
static_call_record := $(STATIC_CALL_DIR)/static_call/make.settings

static_call_quote = '$(subst ','\'',$(1))'

# One run for all sources. Its own depfile names every header and the tool's own files.
static_call_run = CC=$(call static_call_quote,$(CC)) $(STATIC_CALL_TOOL) $(STATIC_CALL_SRCS) --root . \
	-o $(STATIC_CALL_DIR) --mode $(STATIC_CALL_MODE) --layout $(STATIC_CALL_LAYOUT) $(STATIC_CALL_FLAGS) \
	-- $(CPPFLAGS) $(CFLAGS)

# A change of the command line is a reason to run as well, and so is a copy that somebody deleted. It is compared while the Makefile is read, so that
# `make -q` and a second `make` find nothing to do.
static_call_settings := $(strip $(static_call_run))
static_call_copies := $(STATIC_CALL_SRCS) $(addprefix static_call/runtime/,static_call_runtime.c include/static_call.h)
static_call_copies := $(addprefix $(STATIC_CALL_DIR)/,$(static_call_copies))
ifneq ($(static_call_settings),$(strip $(file <$(static_call_record)))$(filter-out \
		$(wildcard $(static_call_copies)),$(static_call_copies)))
.PHONY: static_call_settings_changed
$(STATIC_CALL_STAMP): static_call_settings_changed
endif

$(STATIC_CALL_STAMP): $(STATIC_CALL_SRCS)
	$(static_call_run)
	@printf '%s\n' $(call static_call_quote,$(static_call_settings)) >$(static_call_record)
	@touch $@

# Everything in the directory comes from that run. These recipes start no process; they let make look at the
# times again, so that only what has really changed is compiled, and '+' lets it look under -n and -q as well.
$(addprefix $(STATIC_CALL_DIR)/,$(STATIC_CALL_SRCS)): $(STATIC_CALL_STAMP) ; +@:
$(STATIC_CALL_DIR)/%: $(STATIC_CALL_STAMP) ; +@:
$(STATIC_CALL_DIR)/static_call/static_call.d $(static_call_deps): ;

# Relative include directories are looked up among the copies first; what has no copy is found where it was.
static_call_joined = $(subst -iquote ,-iquote,$(subst -I ,-I,$(CPPFLAGS) $(CFLAGS)))
static_call_asked = $(subst -isystem ,-isystem,$(subst -idirafter ,-idirafter,$(static_call_joined)))
static_call_inside = $(patsubst $(1)$(CURDIR)/%,$(1)%,$(filter $(1)%,$(static_call_asked)))
static_call_mirror = $(patsubst $(1)%,$(1)$(STATIC_CALL_DIR)/%,$(filter-out $(1)/% $(1)..%,$(static_call_inside)))
static_call_include = $(foreach option,-iquote -I -isystem -idirafter,$(call static_call_mirror,$(option))) \
	-iquote $(or $(dir $*),.)

# In mode direct the compiler's own calls are patched: they are prepared on their way to the assembler.
static_call_cc = $(if $(filter direct,$(STATIC_CALL_MODE)),$(STATIC_CALL_TOOL) cc --mode direct \
	--layout $(STATIC_CALL_LAYOUT) -- )$(CC)

$(static_call_objects): %.o: $(STATIC_CALL_DIR)/%.c | static_call_runtime.o
	$(static_call_cc) $(static_call_include) $(CPPFLAGS) $(CFLAGS) $(STATIC_CALL_CFLAGS) \
		-MMD -MP -MF $*.d -MT $@ -c -o $@ $<

static_call_runtime.o: $(STATIC_CALL_DIR)/static_call/runtime/static_call_runtime.c
	$(CC) $(CFLAGS) -std=gnu11 -w $(STATIC_CALL_CFLAGS) \
		-MMD -MP -MF static_call_runtime.d -MT $@ -c -o $@ $<

.PHONY: static_call_clean
static_call_clean:
	rm -rf $(STATIC_CALL_DIR)
	rm -f $(static_call_objects) $(static_call_deps) static_call_runtime.o

-include $(STATIC_CALL_DIR)/static_call/static_call.d $(static_call_deps)

.DEFAULT_GOAL := $(static_call_goal)
