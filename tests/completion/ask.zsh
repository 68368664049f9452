# The words that zsh offers, its own functions replaced by some that print: ask.zsh COMPLETION WORD...
typeset completion=$1
shift
words=("$@")
CURRENT=$#
typeset typed=$words[CURRENT]

offer() {
    local word
    for word in "$@"; do
        [[ $word != ${(b)typed}* ]] || print -r -- $word
    done
}
compadd() { offer "$@" }
compset() { :; }
_describe() { local -a all; all=(${(P)2}); offer ${all%%:*} }
_message() { :; }
_files() { offer *(N) }

source $completion
