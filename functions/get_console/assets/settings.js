// What the page knows about its deployment: name, version, stage, links, sign_in (null where no tokens are required),
// order_filters (the parameters of the list of orders), and mails (the path of those that a laptop keeps, null elsewhere).
export const settings = JSON.parse(document.getElementById("settings").textContent);
