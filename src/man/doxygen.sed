# The first comment is about the file; @file says so.
1s|^/\*|/** @file\n *|
# A comment after a declaration, and one before it.
s|\([;,{]\) */\* |\1 /**< |
/^ *\/\* ----/!s|^\( *\)/\* |\1/** |
# Escape what Doxygen would read as its own commands.
/^#/!s|[<#]\([a-z]\)|\\&|g
