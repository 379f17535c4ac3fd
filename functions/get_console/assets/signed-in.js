// Ends a sign-in: hands the answer to the documentation page, which waits in another window, or gets the console's token.
import { finish } from "./session.js";

const answer = new URLSearchParams(location.search);
const asked = askedByDocumentation();

function askedByDocumentation() {
  try {
    return opener?.swaggerUIRedirectOauth2;
  } catch {
    // Another site has opened the console in this window, and of its page nothing can be read.
    return undefined;
  }
}

function answerDocumentation() {
  const { auth, state, redirectUrl, callback, errCb } = asked;
  if (answer.get("state") !== state) {
    errCb({ authId: auth.name, source: "auth", level: "error", message: "The answer does not belong to this sign-in." });
  } else if (answer.has("code")) {
    delete auth.state;
    auth.code = answer.get("code");
    callback({ auth, redirectUrl });
  } else {
    const message = answer.get("error_description") ?? answer.get("error") ?? "The issuer gave no code.";
    errCb({ authId: auth.name, source: "auth", level: "error", message });
  }
  close();
}

if (asked) {
  answerDocumentation();
} else {
  // The code must not stay in the history.
  history.replaceState(null, "", location.pathname);
  try {
    location.replace(`/${await finish(answer)}`);
  } catch (reason) {
    document.getElementById("message").textContent = reason.message;
    document.getElementById("message").className = "notice error";
  }
}
