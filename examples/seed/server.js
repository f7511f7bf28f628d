import { createServer } from "node:http";
import { usercast } from "@usercast/server";
import express from "express";
import { Server } from "socket.io";

const app = express();
const server = createServer(app);
const users = usercast(new Server(server), { trustClients: true }); // development: clients say who they are

const sendMessageToUser = (userID, message) => users.to(userID).send(message);

app.post("/users/:userID/messages", express.json(), async (request, response) => {
  response.json(await sendMessageToUser(request.params.userID, request.body.message));
});
server.listen(process.env.PORT ?? 3000, () => console.log(`Listening on http://localhost:${server.address().port}`));
