// npm's coap against the server: a post, a read and a refused post.
import coap from "coap";

const ports = JSON.parse(process.env.PORTS);
const device = JSON.parse(process.env.DEVICE);

function call(method, tail, payload, query) {
    return new Promise((resolve, reject) => {
        const request = coap.request({
            hostname: "127.0.0.1", port: ports.coap, method, query,
            pathname: `/api/v1/${device.token}/${tail}`,
        });
        request.on("response", (response) => resolve({
            code: response.code, body: response.payload.toString(),
        }));
        request.on("error", reject);
        request.end(payload);
    });
}

const post = await call("POST", "telemetry", JSON.stringify({ js: 1 }));
const get = await call("GET", "attributes", undefined, "sharedKeys=rate");
const broken = await call("POST", "telemetry", '{"js":');
console.log(JSON.stringify({
    post: post.code, get: get.code, body: JSON.parse(get.body), broken: broken.code,
}));
process.exit(0);
