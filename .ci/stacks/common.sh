# What the stacks share; each sources it in the root of the tree. A stack exits with 0 (passed), 77 (skipped; its last
# line says why) or another status (failed).

# skip REASON
skip() {
    echo "$1"
    exit 77
}

# step NAME COMMAND [ARGUMENT...]: runs it, and prints how long it took.
step() {
    what=$1
    shift
    started=$(date +%s)
    "$@"
    echo "${0##*/}: $what: $(($(date +%s) - started)) s"
}

# install PACKAGE...: installs Debian packages.
install() {
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
