// The structure of what repeats is in the page, as templates; scripts only fill it.

/** A copy of a template: its element, and the elements with `data-part` by that name. */
export function copyOf(templateId) {
  const element = document.getElementById(templateId).content.firstElementChild.cloneNode(true);
  const parts = Object.fromEntries([...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  return { element, parts };
}

const HUES = 6;

/** Shows who somebody is by a letter and a colour that is always the same for an id. */
export function drawAvatar(element, id) {
  let hash = 0;
  for (const character of id) hash = Math.imul(hash ^ character.codePointAt(0), 0x9e3779b1) >>> 0;
  element.dataset.hue = String((hash >>> 16) % HUES);
  const [first = ""] = new Intl.Segmenter().segment(id);
  element.textContent = (first.segment ?? "").toLocaleUpperCase();
}

/** Shows presence as a dot: full, empty, or none where it is not known. */
export function drawPresence(element, presence) {
  element.dataset.presence = presence === undefined ? "unknown" : presence.online ? "online" : "offline";
}
