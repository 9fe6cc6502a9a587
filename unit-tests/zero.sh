#!/bin/sh
# Prints what Docker still lists of a stack and fails if that is anything; exit 2 if Docker does not answer.
# zero.sh STACK [NAME...]: objects whose names begin with one of NAME are somebody else's.
# It asks the docker client and nothing else, so that a wrong listing of ours cannot hide anything.
stack=$1
shift
label=com.docker.stack.namespace=$stack
left=

# look KIND FORMAT OPTION...: adds what is named after the stack, and what bears its label.
look() {
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
look service '{{.Name}}'
look container '{{.Names}}' --all
look network '{{.Name}}'
look volume '{{.Name}}'
look secret '{{.Name}}'
look config '{{.Name}}'
printf %s "$left"
[ -z "$left" ]
