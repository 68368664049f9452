# Completion for bash. Commands, options and built-in functions are read from --help.

_rowpool()
{
    local program=$1 current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words= list=
    # bash splits --option=value at the equals sign.
    if [[ $current == '=' ]]; then
        current=
    elif [[ $before == '=' ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $before in
        --closed) words="both left right neither" ;;
        --device) words="auto cpu gpu accelerator all isolated fork host" list=${current%"${current##*,}"} ;;
        --format) words="npy npz csv tsv txt raw" ;;
        --type | --output-type) words="int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64" ;;
        --header) words="auto yes no" ;;
        --labels) words="none" ;;
        --missing) words="nan 0" ;;
        --decimal) words=", ." ;;
        --quote | --comment) words="none" ;;
        --delimiter) words="space" ;;
        --function)
            words="$("$program" map --help 2>/dev/null |
                sed -n '/^  --function /,/^  --source /s/^ \{20\}\([a-z0-9_, ]*[a-z0-9_]\)  .*/\1/p' | tr -d ,)"
            ;;
        --min | --max | --ranges | --bins | --head | --shape | --member | --skip | --argument | --rows | \
            --width | --seed) return ;;
        --source | --output | --offsets) ;;
        *)
            if ((COMP_CWORD == 1)); then
                words="$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z-][a-z-]*\) .*/\1/p')"
            elif [[ $current == -* ]]; then
                words="$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')"
            fi
            ;;
    esac
    if [[ -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -P "$list" -W "$words" -- "${current#"$list"}")
    elif [[ ${COMP_WORDS[1]} == count || ${COMP_WORDS[1]} == map ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _rowpool rowpool rowpool-mpi
