"use strict";
const at = id => document.getElementById(id);

// Who is signed out is told 401 by a fetch, and led to the login by a link: the page offers one.
at("ask").addEventListener("click", async () => {
  const answer = await fetch("/admin/whoami", {headers: {Accept: "application/json"}}).catch(() => null);
  const told = answer && await answer.json().catch(() => ({}));
  at("ended").hidden = !answer || answer.status !== 401;
  at("answer").textContent = !answer ? "No answer: is the demo still running?"
    : answer.ok ? `${answer.status}: you are ${told.name}, and this is fetch number ${told.count}.`
    : `${answer.status}: ${told.message || "refused"}`;
});

const talk = new WebSocket(`wss://${location.host}/admin/echo`);
const say = text => { at("state").textContent = text; };
say("opening");
talk.addEventListener("open", () => say("open"));
talk.addEventListener("close", event => say(
  event.code === 1008 ? "closed: the session has ended" : `closed, with code ${event.code}`));
talk.addEventListener("message", event => {
  at("log").append(Object.assign(document.createElement("p"), {textContent: event.data}));
});
at("send").addEventListener("submit", event => {
  event.preventDefault();
  if (talk.readyState !== WebSocket.OPEN) return;
  talk.send(at("message").value);
  at("message").value = "";
});
