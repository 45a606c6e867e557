// npm's ws against the server: subscribe to a device, let it send, print both frames' values.
import WebSocket from "ws";

const ports = JSON.parse(process.env.PORTS);
const device = JSON.parse(process.env.DEVICE);
const frames = [];

const socket = new WebSocket(`ws://127.0.0.1:${ports.http}/api/ws`);
socket.on("open", () => socket.send(JSON.stringify({
    authCmd: { cmdId: 0, token: process.env.JWT },
    cmds: [{ cmdId: 1, type: "TIMESERIES", entityType: "DEVICE", entityId: device.id }],
})));
socket.on("message", async (text) => {
    const { data } = JSON.parse(text);
    frames.push(Object.fromEntries(Object.entries(data).map(([key, list]) => [key, list[0][1]])));
    if (frames.length === 2) {
        console.log(JSON.stringify(frames));
        socket.close();
        return;
    }
    const answer = await fetch(`http://127.0.0.1:${ports.http}/api/v1/${device.token}/telemetry`, {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ temperature: 22.5 }),
    });
    if (answer.status !== 200)
        process.exit(1);
});
socket.on("error", (error) => {
    console.error(error);
    process.exit(1);
});
