export APP_ENTRYPOINT_VERSION=v4

reset() {
  echo "nothing"
}
