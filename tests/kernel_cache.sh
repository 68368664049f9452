#!/bin/sh
# Runs a test with a kernel cache of its own, $POCL_CACHE_DIR, that starts with the kernels of SEED and adds its new ones
# to SEED when it ends:
#
#   kernel_cache.sh SEED COMMAND [ARGUMENT...]
#
# A folder of its own, for two processes that build the same kernel into one folder can fail. The files are hard links:
# PoCL renames a finished file into place and changes none, so a link is atomic and a kernel in SEED is whole.
seed=$1
shift
mkdir -p "$seed"
rm -rf "$POCL_CACHE_DIR"
cp -alT "$seed" "$POCL_CACHE_DIR" 2>/dev/null || mkdir -p "$POCL_CACHE_DIR" # another test may be adding to it
"$@"
status=$?
find "$POCL_CACHE_DIR" \( -name 'tempfile*' -o -name '*.log' \) -delete 2>/dev/null
cp -alnT "$POCL_CACHE_DIR" "$seed" 2>/dev/null
rm -rf "$POCL_CACHE_DIR"
exit $status
