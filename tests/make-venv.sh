#!/bin/sh
# SPDX-License-Identifier: MIT
# A virtual environment. Debian keeps what venv needs in a package of its own, and Python.h, which the demo's
# third-party program is built with, in another.
set -eu
python=$1 venv=$2

rm -rf "$venv"
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "error: Python 3.11 or newer is needed; '$python' is not (set PYTHON=...)" >&2
	exit 1
fi
missing=
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing=python3-venv
header=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"] + "/Python.h")')
[ -e "$header" ] || missing="$missing python3-dev"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
	echo "error: this Python has no venv; as root: apt-get install python3-venv" >&2
	exit 1
fi
"$python" -m venv "$venv"
