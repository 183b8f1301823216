#!/bin/sh
# SPDX-License-Identifier: MIT
# A virtual environment; Debian keeps what venv needs in a package of its own.
set -eu
python=$1 venv=$2

rm -rf "$venv"
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "error: Python 3.11 or newer is needed; '$python' is not (set PYTHON=...)" >&2
	exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "error: this Python has no venv; as root: apt-get install python3-venv" >&2
		exit 1
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
"$python" -m venv "$venv"
