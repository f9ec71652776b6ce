/**
 * The way in: the token, and what the server knows already. A token comes with the address (`#token=…`, which no server
 * sees, and which leaves the address bar at once) or is asked for; it is kept for this tab alone.
 */

const KEY = "seve.token";

class Access {
  token = null;
  #dialog = document.getElementById("access");

  /** Known modules and where to resume from: `{ since, heard }`. Asks for a token where the server wants one. */
  async enter(refused) {
    const response = await this.ask("api/modules");
    if (response?.ok) return read(await response.json());
    if (response) refused(`The server answered ${response.status}.`);
    return { since: null, heard: [] }; // the WebSocket tries on by itself
  }

  /** The answer to a GET; null where the server cannot be reached. Asks for a token where the server wants one. */
  async ask(path) {
    this.token ??= this.#given() ?? this.#kept();
    let response = await this.#fetch(path);
    while (response?.status === 401) {
      await this.again(this.token === null ? "This server asks for a token." : "The server did not accept the token.");
      response = await this.#fetch(path);
    }
    return response;
  }

  /** Whether the server refuses the token now: a browser does not say why a WebSocket was not opened. */
  async refused() {
    return this.token !== null && (await this.#fetch("ws"))?.status === 401;
  }

  /** Ask for another token, saying why; resolves when there is one. */
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
      // as above: the token lives as long as the page
    }
  }
}

function read({ modules = [], since = null }) {
  return { since, heard: modules.flatMap(({ values }) => values) };
}

export const access = new Access();
