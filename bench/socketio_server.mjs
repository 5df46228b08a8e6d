// What the fan-out is measured against: socket.io telling one room. Told by lines on stdin, as a worker would tell it.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => socket.join("inbox"));
http.listen(0, "127.0.0.1", 4096, () => console.log(http.address().port));
createInterface({ input: process.stdin }).on("line", (line) => io.to("inbox").emit("messageAdded", JSON.parse(line)));
