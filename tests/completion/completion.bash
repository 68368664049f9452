# What each shell completes, asked for by its own means, is what the program says:
#   bash completion.bash PROGRAM FOLDER SHELL [MPI]    SHELL: bash, zsh or fish; FOLDER: where the completions are; MPI:
#                                                      rowpool-mpi, if it was built
set -eu
program=$1 folder=$2 shell=$3 here=$(cd "$(dirname "$0")" && pwd) wrong=0
PATH=$(dirname "$program"):$(dirname "${4:-$program}"):$PATH

# What is offered for the command line of those words, the last one still being typed; a line for each, sorted.
offered()
{
    case $shell in
        bash) bash "$here/ask.bash" "$folder/rowpool.bash" "$@" ;;
        zsh) zsh -f "$here/ask.zsh" "$folder/_rowpool" "$@" ;;
        fish) fish --no-config -c "source '$folder/rowpool.fish'; complete -C '$*'" | cut -f 1 ;;
    esac | sort -u
}

# check NAME EXPECTED WORD...
check()
{
    local name=$1 expected=$2 found
    shift 2
    found=$(offered "$@")
    if [[ $found != "$(sort -u <<<"$expected")" ]]; then
        printf '%s: offered:\n%s\nexpected:\n%s\n' "$name" "$found" "$expected"
        wrong=1
    fi
}

# Words, a line for each.
lines() { printf '%s\n' "$@"; }

options() { rowpool "$1" --help | grep -o '^  --[a-z-]*' | tr -d ' '; }

commands=$(rowpool --help | grep -o '^  [a-z]\+' | tr -d ' ')
[[ $commands == "$(lines count map devices demo doctor environment)" ]] || { echo "commands: $commands" && wrong=1; }
check commands "$commands
--help
--version" rowpool ''
check "a command" devices rowpool dev
for command in $commands; do
    [[ $(options "$command") == *--help* ]] || { echo "$command: no options" && wrong=1; }
    check "options of $command" "$(options "$command")" rowpool "$command" --
done

types=$(lines int{8,16,32,64} uint{8,16,32,64} float{16,32,64})
functions=$(rowpool map --function ? x.npy 2>&1 | sed 's/.*there are //; s/;.*//; s/, /\n/g')
check --function "$functions" rowpool map --function ''
check --type "$types" rowpool count --type ''
check --output-type "$types" rowpool map --output-type ''
for type in $types; do
    rowpool count --type "$type" --shape 0:0 /dev/null || { echo "$type is no type" && wrong=1; }
done
check --closed "$(lines both left right neither)" rowpool count --closed ''
check "the beginning of a value" "$(lines left)" rowpool count --closed l
check --format "$(lines npy npz csv tsv txt raw)" rowpool count --format ''
check --header "$(lines auto yes no)" rowpool map --header ''
check --device "$(lines gpu)" rowpool devices --device g
check "a number" '' rowpool count --min ''

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
touch data.npy zz.csv
check files "$(lines data.npy)" rowpool count da
check "no files" '' rowpool devices zz

if [[ -n ${4:-} ]]; then
    check "commands of rowpool-mpi" "$(lines count map --help --version)" rowpool-mpi ''
    check "options of rowpool-mpi map" "$(options map)" rowpool-mpi map --
    check "rowpool-mpi --closed" "$(lines left)" rowpool-mpi count --closed l
    check "files of rowpool-mpi" "$(lines data.npy)" rowpool-mpi count da
fi
exit $wrong
