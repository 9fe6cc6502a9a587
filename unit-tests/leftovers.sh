#!/bin/sh
# Prints the objects of a stack that Docker lists, and fails if there is one; exit 2 if Docker does not answer.
# leftovers.sh STACK [NAME...]: objects whose names begin with one of NAME are foreign.
# It asks the docker client and nothing else, so that a wrong listing of ours cannot hide anything.
stack=$1
shift
label=com.docker.stack.namespace=$stack
left=

# find_left KIND FORMAT OPTION...: adds the objects with the stack's name or label.
find_left() {
    kind=$1 format=$2
    shift 2
    named=$(docker "$kind" ls "$@" --format "$format") || exit 2
    labelled=$(docker "$kind" ls "$@" --filter "label=$label" --format "labelled $kind $format") || exit 2
    for name in $named; do
        case $name in "$stack"_*) ;; *) continue ;; esac
        ours=yes
        for other in $others; do
            case $name in "$other"*) ours=no ;; esac
        done
        [ $ours = yes ] && left="$left$kind $name
"
    done
    [ -z "$labelled" ] || left="$left$labelled
"
}

others=$*
find_left service '{{.Name}}'
find_left container '{{.Names}}' --all
find_left network '{{.Name}}'
find_left volume '{{.Name}}'
find_left secret '{{.Name}}'
find_left config '{{.Name}}'
printf %s "$left"
[ -z "$left" ]
