# The first comment is about the file; @file says so.
1s|^/\*|/** @file\n *|
# One after a declaration, and one before it.
s|\([;,{]\) */\* |\1 /**< |
/^ *\/\* ----/!s|^\( *\)/\* |\1/** |
# What doxygen would read as its own.
/^#/!s|[<#]\([a-z]\)|\\&|g
