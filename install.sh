#!/bin/sh
# Makes the environment; what is missing is one line, before anything large is downloaded.
# usage: sh install.sh PYTHON FOLDER, by `make`
set -u
python=$1
folder=$2
needed_gb=8
size="7.4 GB"
log=$folder/install.log
probe=addict==2.4.0 # of requirements.lock, ten kilobytes

fail() {
    echo "error: $*" >&2
    exit 1
}

# The reason among pip's lines: why a connection broke, else its last error.
reason() {
    broken=$(sed -n "s/.*broken by '\([A-Za-z]*\)(.*: \([^:]*\)'.*': .*/\1: \2/p" "$log" | tail -n 1)
    [ -n "$broken" ] || broken=$(sed -n 's/^ *ERROR: *//p' "$log" | tail -n 1)
    echo "$broken" | cut -c 1-200
}

quiet_pip() {
    "$folder/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@" >"$log" 2>&1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "$python: no such program; install Python 3.11, or name it: make PYTHON=/path/to/python3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "$python: does not run; name a Python 3.11: make PYTHON=/path/to/python3.11"
[ "$version" = 3.11 ] || fail "$python: is Python $version, and 3.11 is needed: make PYTHON=/path/to/python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python: has no venv; install it (Debian and Ubuntu: apt install python3.11-venv)"

free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
there_kb=$(du -sk "$folder" 2>/dev/null | awk '{ print $1 }')
gb=$(((free_kb + ${there_kb:-0}) / 1000000))
[ "$gb" -ge "$needed_gb" ] || fail "$PWD: $gb GB free, $needed_gb GB needed for $folder; make room"

"$python" -m venv "$folder" || fail "$folder: $python could not make an environment there"
mkdir -p "$folder/probe"
quiet_pip download --timeout 15 --retries 3 --no-deps --no-cache-dir --dest "$folder/probe" "$probe" ||
    fail "the package index does not answer ($(reason)); see HTTPS_PROXY and PIP_INDEX_URL, or $log"
rm -rf "$folder/probe"

echo "Installing $(grep -c == requirements.lock) packages into $folder: $size, some minutes"
quiet_pip install --no-deps -r requirements.lock || fail "pip: $(reason); all that it said is in $log"
quiet_pip install --no-deps --no-build-isolation -e . || fail "pip: $(reason); all that it said is in $log"
