#!/bin/sh
# A device with coap-client: telemetry, client attributes, attribute request.
set -eu
url=${COAP_URL:-coap://127.0.0.1}/api/v1/${DEVICE_TOKEN:-A1_TEST_TOKEN}

coap-client -m post -t application/json -e '{"temperature":21.5,"humidity":40}' "$url/telemetry"
coap-client -m post -t application/json -e '{"firmware":"v1.0"}' "$url/attributes"
coap-client -m get "$url/attributes?clientKeys=firmware"
echo
