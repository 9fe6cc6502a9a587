#!/bin/sh
# Prints what Docker still lists of a stack and fails if that is anything.
# zero.sh STACK [NAME...]: objects whose names begin with one of NAME are somebody else's.
# It asks the docker client and nothing else, so that a wrong listing of ours cannot hide anything.
stack=$1
shift

ours() {
    while read -r name; do
        case $name in "$stack"_*) ;; *) continue ;; esac
        for other; do
            case $name in "$other"*) continue 2 ;; esac
        done
        echo "$kind $name"
    done
}

left=$(
    kind=service; docker service ls --format '{{.Name}}' | ours "$@"
    kind=container; docker container ls --all --no-trunc --format '{{.Names}}' | ours "$@"
    kind=network; docker network ls --format '{{.Name}}' | ours "$@"
    kind=volume; docker volume ls --format '{{.Name}}' | ours "$@"
    kind=secret; docker secret ls --format '{{.Name}}' | ours "$@"
    kind=config; docker config ls --format '{{.Name}}' | ours "$@"
    label=com.docker.stack.namespace=$stack
    docker service ls --filter "label=$label" --format 'labelled service {{.Name}}'
    docker container ls --all --filter "label=$label" --format 'labelled container {{.Names}}'
    docker network ls --filter "label=$label" --format 'labelled network {{.Name}}'
    docker volume ls --filter "label=$label" --format 'labelled volume {{.Name}}'
    docker secret ls --filter "label=$label" --format 'labelled secret {{.Name}}'
    docker config ls --filter "label=$label" --format 'labelled config {{.Name}}'
)
[ -z "$left" ] && exit 0
echo "$left"
exit 1
