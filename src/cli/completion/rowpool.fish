# Completion for fish. Commands, options and built-in functions are read from --help.

function __rowpool_commands
    set -l words (commandline -opc)
    $words[1] --help 2>/dev/null | string replace -rf '^  ([a-z-]+)(?: [A-Z]+)? +(.*)' '$1\t$2'
end

function __rowpool_options
    set -l words (commandline -opc)
    $words[1] $words[2] --help 2>/dev/null | string replace -rf '^  (--[a-z-]+)(?: [A-Z:]+)? *(.*)' '$1\t$2'
end

function __rowpool_functions
    set -l words (commandline -opc)
    $words[1] map --help 2>/dev/null |
        sed -n '/^  --function /,/^  --source /s/^ \{20\}\([a-z0-9_, ]*[a-z0-9_]\)  .*/\1/p' |
        tr -d , | string split ' '
end

set -l types 'int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64'
set -l with_file '__fish_seen_subcommand_from count map'
set -l with_function '__fish_seen_subcommand_from map'

for program in rowpool rowpool-mpi
    complete -c $program -f
    complete -c $program -n __fish_use_subcommand -a '(__rowpool_commands)'
    complete -c $program -n 'not __fish_use_subcommand' -a '(__rowpool_options)'
    complete -c $program -n $with_file -F

    complete -c $program -n '__fish_seen_subcommand_from count map devices demo' -l device -x -a '(__fish_append , auto cpu gpu accelerator all isolated fork host)'
    complete -c $program -n $with_file -l closed -x -a 'both left right neither'
    complete -c $program -n $with_file -l format -x -a 'npy npz csv tsv txt raw'
    complete -c $program -n $with_file -l type -x -a $types
    complete -c $program -n $with_file -l header -x -a 'auto yes no'
    complete -c $program -n $with_file -l labels -x -a none
    complete -c $program -n $with_file -l missing -x -a 'nan 0'
    complete -c $program -n $with_file -l decimal -x -a ', .'
    complete -c $program -n $with_file -l quote -x -a none
    complete -c $program -n $with_file -l comment -x -a none
    complete -c $program -n $with_file -l delimiter -x -a space
    complete -c $program -n $with_file -l output -r -F
    complete -c $program -n $with_file -l offsets -r -F
    for option in min max ranges bins head shape member skip
        complete -c $program -n $with_file -l $option -x
    end

    complete -c $program -n $with_function -l function -x -a '(__rowpool_functions)'
    complete -c $program -n $with_function -l output-type -x -a $types
    complete -c $program -n $with_function -l source -r -F
    complete -c $program -n $with_function -l argument -x
    for option in rows width seed
        complete -c $program -n '__fish_seen_subcommand_from demo' -l $option -x
    end
end
