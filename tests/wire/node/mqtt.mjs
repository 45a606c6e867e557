// npm's mqtt against the server: QoS 1 publishes, an attribute request, with versions 4 and 5.
import mqtt from "mqtt";

const ports = JSON.parse(process.env.PORTS);
const device = JSON.parse(process.env.DEVICE);

async function talk(protocolVersion) {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, {
        username: device.token, protocolVersion, reconnectPeriod: 0,
    });
    const answer = new Promise((resolve) => {
        client.on("message", (topic, payload) => resolve(JSON.parse(payload.toString())));
    });
    await client.subscribeAsync("v1/devices/me/attributes/response/+", { qos: 1 });
    const sent = [];
    for (let i = 0; i < 50; i++)
        sent.push(client.publishAsync("v1/devices/me/telemetry",
            JSON.stringify({ [`v${protocolVersion}`]: i }), { qos: 1 }));
    await Promise.all(sent);
    await client.publishAsync("v1/devices/me/attributes/request/1",
        JSON.stringify({ sharedKeys: "rate" }), { qos: 1 });
    const received = await answer;
    await client.endAsync();
    return received;
}

console.log(JSON.stringify({ 4: await talk(4), 5: await talk(5) }));
