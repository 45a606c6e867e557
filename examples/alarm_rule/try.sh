#!/bin/sh
# Three readings as Test Device A1, and the server attribute "alarm" after each.
set -eu
url=${URL:-http://127.0.0.1:8080}

member() { python3 -c "import json,sys; print(json.load(sys.stdin)$1)"; }

token=$(curl -sS --fail -H 'Content-Type: application/json' \
    -d '{"username":"tenant@thingsboard.org","password":"tenant"}' "$url/api/auth/login" | member '["token"]')
id=$(curl -sS --fail -H "X-Authorization: Bearer $token" \
    "$url/api/tenant/devices?deviceName=Test%20Device%20A1" | member '["id"]["id"]')

for temperature in 31 27 24; do
    curl -sS --fail -d "{\"temperature\":$temperature}" "$url/api/v1/A1_TEST_TOKEN/telemetry"
    printf '%s degrees: ' "$temperature"
    curl -sS --fail -H "X-Authorization: Bearer $token" \
        "$url/api/plugins/telemetry/DEVICE/$id/values/attributes/SERVER_SCOPE?keys=alarm"
    echo
done
