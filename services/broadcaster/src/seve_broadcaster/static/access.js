/**
 * Gets a token, and the values that the server has already. The token comes from the address (`#token=…`, which browsers
 * send to no server, and which is removed from the address bar at once) or from a dialog. It is stored for this tab only.
 */

const KEY = "seve.token";

class Access {
  token = null;
  #dialog = document.getElementById("access");

  /** Return the known values and where to resume from: `{ since, heard }`. Ask for a token if the server requires one. */
  async enter(refused) {
    const response = await this.ask("api/modules");
    if (response?.ok) return read(await response.json());
    if (response) refused(`The server answered ${response.status}.`);
    return { since: null, heard: [] }; // the WebSocket client retries by itself
  }

  /** Return the answer to a GET, or null if the server cannot be reached. Ask for a token if the server requires one. */
  async ask(path) {
    this.token ??= this.#given() ?? this.#kept();
    let response = await this.#fetch(path);
    while (response?.status === 401) {
      await this.again(this.token === null ? "This server asks for a token." : "The server did not accept the token.");
      response = await this.#fetch(path);
    }
    return response;
  }

  /** Return whether the server now refuses the token: a browser does not tell why it could not open a WebSocket. */
  async refused() {
    return this.token !== null && (await this.#fetch("ws"))?.status === 401;
  }

  /** Ask for another token and show the reason; resolves when one is entered. */
  again(reason) {
    document.getElementById("access-reason").textContent = reason;
    const input = document.getElementById("token");
    input.value = "";
    if (!this.#dialog.open) this.#dialog.showModal();
    return new Promise((resolve) => {
      const take = () => {
        if (!input.value) return this.#dialog.showModal();
        this.#dialog.removeEventListener("close", take);
        this.#keep(input.value.trim());
        return resolve();
      };
      this.#dialog.addEventListener("close", take);
    });
  }

  async #fetch(path) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    try {
      return await fetch(path, { headers });
    } catch {
      return null; // unreachable
    }
  }

  #given() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (token === null) return null;
    history.replaceState(null, "", location.pathname + location.search);
    this.#keep(token);
    return token;
  }

  #kept() {
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden
    }
  }

  #keep(token) {
    this.token = token;
    try {
      sessionStorage.setItem(KEY, token);
    } catch {
      // as above: the token is kept until the page is closed
    }
  }
}

function read({ modules = [], since = null }) {
  return { since, heard: modules.flatMap(({ values }) => values) };
}

export const access = new Access();
