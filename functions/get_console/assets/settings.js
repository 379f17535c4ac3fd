// What the page knows about its deployment: name, version, stage, links, sign_in (null where no tokens are required), and
// order_filters (the parameters of the list of orders).
export const settings = JSON.parse(document.getElementById("settings").textContent);
