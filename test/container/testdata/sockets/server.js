// Says who answers, on the sockets that were opened for it, after a while: a worker that
// goes has requests under way.
const http = require("http");

const hello = `hello from ${process.env.PS}, pid ${process.pid}\n`;
const answer = (_, response) => setTimeout(() => response.end(hello), 20);
const servers = [3, 4].map((fd) => http.createServer(answer).listen({ fd }));
process.on("SIGTERM", () => servers.forEach((server) => server.close()));
