#!/bin/sh
# What prove calls for each test: scripts by sh, compiled tests as they are.
case $1 in
*.t) exec sh "$1" ;;
*) CMOCKA_MESSAGE_OUTPUT=TAP exec "$1" ;;
esac
