# SPDX-License-Identifier: MIT
# For scripts that install what is missing of Debian's packages: need COMMAND PACKAGE, need_file PACKAGE FILE (what a
# pattern has found), then install_needed WHO.
missing=
need() {
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need_file() {
	[ -e "$2" ] || missing="$missing $1"
}
install_needed() {
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "error: $1 need these packages:$missing (as root: apt-get install$missing)" >&2
		exit 1
	fi
	apt-get update -qq
	# shellcheck disable=SC2086 # one word a package
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
