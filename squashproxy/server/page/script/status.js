/** Fetches the status of the server at intervals. */

const EVERY = 2000;

/**
 * @param {(status: object) => void} onStatus
 * @param {(sentence: string) => void} onTrouble called with the reason if there is no status
 */
export function poll(onStatus, onTrouble) {
  async function ask() {
    try {
      const answer = await fetch("/api/v1/status", { cache: "no-store" });
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      onStatus(await answer.json());
    } catch (error) {
      const why = error instanceof TypeError ? "the server cannot be reached" : error.message;
      onTrouble(why);
    }
    setTimeout(ask, document.hidden ? 5 * EVERY : EVERY);
  }
  ask();
}
