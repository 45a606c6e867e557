#!/bin/sh
# A device with the client of libcoap3-bin: telemetry, client attributes, attribute request.
set -eu
url=${COAP_URL:-coap://127.0.0.1}/api/v1/${DEVICE_TOKEN:-A1_TEST_TOKEN}

coap-client-notls -m post -t application/json -e '{"temperature":21.5,"humidity":40}' "$url/telemetry"
coap-client-notls -m post -t application/json -e '{"firmware":"v1.0"}' "$url/attributes"
coap-client-notls -m get "$url/attributes?clientKeys=firmware"
echo
