#!/bin/sh
# A device with nothing but curl: telemetry, client attributes, attribute request.
set -eu
url=${URL:-http://127.0.0.1:8080}/api/v1/${DEVICE_TOKEN:-A1_TEST_TOKEN}

post() { curl -sS --fail-with-body -X POST -H 'Content-Type: application/json' -d "$2" "$url/$1"; }

post telemetry '{"temperature":21.5,"humidity":40}'
post telemetry '{"ts":1719830400000,"values":{"temperature":19.0}}'
post telemetry '[{"temperature":21.6},{"ts":1719830460000,"values":{"temperature":19.1}}]'
post attributes '{"firmware":"v1.0","model":"demo"}'
curl -sS "$url/attributes?clientKeys=firmware,model"
echo
