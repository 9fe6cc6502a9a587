#!/bin/sh
# Does by hand, with git, docker and curl, what a run of `hello` does: clone, .env, secret, deploy, wait until it runs and has
# stayed so for five seconds, ask over HTTPS, remove, wait for zero. Nothing is slept for but the five seconds and the pauses
# between two polls.
# hello.sh SANDBOX ZONE INGRESS [force]: the sandbox's folder, its zone, and the ingress as ADDRESS:PORT. With `force` containers are
# not given their stop grace, as taster does not give it. Prints nothing when all went well.
set -eu
sandbox=$1 zone=$2 address=${3%:*} port=${3##*:} force=${4:-}
app=hello-bare$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')
domain=$app.$zone
stack=$(echo "$domain" | tr . _)
label=com.docker.stack.namespace=$stack
secret=
work=$(mktemp -d)

# until WHAT COMMAND...: polls until the command succeeds, for half a minute at most.
until_() {
    what=$1 tries=0
    shift
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "waited in vain until $what" >&2; exit 1; }
        sleep 0.05
    done
}
runs() { [ "$(docker service ls --filter "label=$label" --format '{{.Replicas}}')" = 1/1 ]; }
answers() { curl --silent --fail --output /dev/null --cacert "$sandbox/ca.pem" --resolve "$domain:$port:$address" "https://$domain:$port/"; }
stopped() { [ -z "$(docker container ls --all --quiet --filter "label=$label")" ]; }
removed() {
    [ -n "$(docker network ls --quiet --filter "label=$label")" ] || return 0
    docker stack rm "$stack" >"$work/rm" 2>&1 || true
    return 1
}
remove() {
    docker stack rm "$stack" >"$work/rm" 2>&1 || true
    containers=$(docker container ls --all --quiet --filter "label=$label")
    # One that goes by itself meanwhile makes the client complain; whether all are gone is asked next.
    [ -z "$force" ] || [ -z "$containers" ] || docker container rm --force $containers >"$work/rm" 2>&1 || true
    until_ "the containers are gone" stopped
    until_ "the networks are gone" removed
    volumes=$(docker volume ls --quiet --filter "label=$label")
    [ -z "$volumes" ] || docker volume rm $volumes >"$work/rm"
    [ -z "$secret" ] || docker secret rm "$secret" >"$work/rm"
}
finish() {
    code=$?
    trap - EXIT
    [ $code = 0 ] || remove || true
    rm -rf "$work"
    exit $code
}
trap finish EXIT

git clone --quiet "$sandbox/recipes/hello" "$work/hello"
cd "$work/hello"
sed "s/hello\.example\.com/$domain/" .env.sample >"$work/env"
set -a
. "$work/env"
. ./abra.sh
STACK_NAME=$stack EXTRA_DOMAINS=${EXTRA_DOMAINS:-}
set +a
files="--compose-file compose.yml"
# Without IPVS in the kernel a service is reached by its tasks only.
if grep -q '^ipvs = false' "$sandbox/machine.toml"; then
    printf 'version: "3.8"\nservices: {app: {deploy: {endpoint_mode: dnsrr}}}\n' >"$work/dnsrr.yml"
    files="$files --compose-file $work/dnsrr.yml"
fi
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | docker secret create "${stack}_token_$SECRET_TOKEN_VERSION" - >"$work/out"
secret=${stack}_token_$SECRET_TOKEN_VERSION
docker stack deploy --resolve-image never --detach=true $files "$stack" >"$work/out"
until_ "the service runs" runs
sleep 5
runs
until_ "the app answers" answers
remove
