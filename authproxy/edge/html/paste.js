// Whoever pastes a token need not look for the user id: it stands in the token. Without this script both are typed.
(function () {
  "use strict";
  var user = document.getElementById("user-id"), token = document.getElementById("token");
  var note = document.getElementById("note");
  var shape = /(?:^|[^A-Za-z0-9-])([A-Za-z0-9-]+_02[0-9A-Fa-f]{4}_[A-Za-z2-7]{84})(?![A-Za-z0-9_])/;

  // The first 16 of the 52 bytes, five bits a character.
  function userOf(text) {
    var payload = text.slice(text.lastIndexOf("_") + 1).toLowerCase(), bits = 0, held = 0, hex = "";
    for (var i = 0; hex.length < 32; i++) {
      held = (held << 5) | "abcdefghijklmnopqrstuvwxyz234567".indexOf(payload[i]);
      bits += 5;
      while (bits >= 4 && hex.length < 32) {
        bits -= 4;
        hex += (held >> bits).toString(16);
        held &= (1 << bits) - 1;
      }
    }
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  function pasted(event) {
    var found = shape.exec((event.clipboardData || window.clipboardData).getData("text"));
    if (!found) return;
    event.preventDefault();
    token.value = found[1];
    user.value = userOf(found[1]);
    note.textContent = "Both fields are filled in from the token.";
    document.getElementById("submit").focus();
  }

  user.addEventListener("paste", pasted);
  token.addEventListener("paste", pasted);
})();
